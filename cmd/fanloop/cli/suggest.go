package cli

import "strings"

// DidYouMean is the end of an error about word that names those of names which
// are spelled nearly alike; "" if none is.
func DidYouMean(word string, names []string) string {
	var near []string
	for _, name := range names {
		if alike(strings.ToLower(word), strings.ToLower(name)) {
			near = append(near, name)
		}
	}
	if len(near) == 0 {
		return ""
	}
	return "; did you mean " + strings.Join(near, " or ") + "?"
}

// alike allows one mistake in short words and two in longer ones, and words that
// stop early. Dashes before a word do not count.
func alike(word, name string) bool {
	word, name = strings.TrimLeft(word, "-"), strings.TrimLeft(name, "-")
	most := 1
	if len(word) > 4 {
		most = 2
	}
	return len(word) > 1 && (strings.HasPrefix(name, word) || distance(word, name) <= most)
}

// distance is how many bytes are inserted, deleted, replaced, or swapped with their
// neighbour to make b of a (optimal string alignment).
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replaced := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				replaced++
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, replaced)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
