package loop

func serveWithFewDescriptors() {}
