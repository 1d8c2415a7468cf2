//go:build !linux && !darwin && !freebsd

package natsserver

func freeOf(string) (bytes int64, known bool) { return 0, false }
