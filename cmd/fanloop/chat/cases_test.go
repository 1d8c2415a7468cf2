package chat_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// numbers are those of the cases; the others are no cases of this program.
var numbers = strings.Fields("X01 X02 X03 X05 X06 X07 X10 X11 X12 X14 X15 X16 X17 X19 X21 X22 X23 X24 X25 X27 X28 X29 X30 X32 " +
	"X33 X34 X36 X37 X38 X39 X40 X41 X42 X43 X44 X47 X48 X49 X50 X51")

// Each case of CASES.md has a test, and each test that is named there is there.
func TestCasesHaveTests(t *testing.T) {
	var listed []string
	for _, row := range regexp.MustCompile(`(?m)^\| (X\d\d) \|[^|]*\|(.*)\|$`).FindAllStringSubmatch(read(t, "CASES.md"), -1) {
		listed = append(listed, row[1])
		names := named(row[2])
		if len(names) == 0 {
			t.Errorf("%s has no test", row[1])
		}
		for _, name := range names {
			if !exists(t, name) {
				t.Errorf("%s: there is no %s", row[1], name)
			}
		}
	}
	if !slices.Equal(listed, numbers) {
		t.Errorf("CASES.md has\n%q\nthere are\n%q", listed, numbers)
	}
}

// Each guarantee of the README names its tests, which are there.
func TestGuaranteesHaveTests(t *testing.T) {
	_, section, found := strings.Cut(read(t, "../../../README.md"), "\n## What the chat guarantees\n")
	section, _, _ = strings.Cut(section, "\n## ")
	guarantees := regexp.MustCompile(`(?m)^- .*$`).FindAllString(section, -1)
	if !found || len(guarantees) < 10 {
		t.Fatalf("%d guarantees", len(guarantees))
	}
	for _, line := range guarantees {
		names := slices.DeleteFunc(named(line), func(name string) bool { return !strings.Contains(name, ".Test") && !strings.Contains(name, ".test.js") })
		if len(names) == 0 {
			t.Errorf("no test: %s", line)
		}
		for _, name := range names {
			if !exists(t, name) {
				t.Errorf("there is no %s: %s", name, line)
			}
		}
	}
}

func named(text string) (names []string) {
	for _, match := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(text, -1) {
		names = append(names, match[1])
	}
	return names
}

// exists looks a test up: package.TestName, package.TestName/title, or file.test.js title.
func exists(t *testing.T, name string) bool {
	t.Helper()
	if file, title, is := strings.Cut(name, ".test.js"); is {
		text := read(t, file+".test.js")
		title = regexp.QuoteMeta(strings.TrimSpace(title))
		return regexp.MustCompile("(?m)^\\s*test\\([\"`]" + title).MatchString(text)
	}
	folder, test, _ := strings.Cut(name, ".")
	test, title, _ := strings.Cut(test, "/")
	if strings.HasPrefix(folder, "engine") {
		folder = "../../../" + folder
	}
	files, err := filepath.Glob(filepath.Join(filepath.FromSlash(folder), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, file := range files {
		text.WriteString(read(t, file))
	}
	if !strings.Contains(text.String(), "\nfunc "+test+"(") {
		return false
	}
	return title == "" || strings.Contains(text.String(), `t.Run("`+title)
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash(file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
