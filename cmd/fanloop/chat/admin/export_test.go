package admin

// Paths are those of the server API.
func Paths() (all []string) {
	for i := range calls {
		all = append(all, calls[i].path)
	}
	return all
}
