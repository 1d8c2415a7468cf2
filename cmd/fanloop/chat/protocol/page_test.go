package protocol_test

import (
	"encoding/hex"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

// page is PROTOCOL.md.
func page(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// examples are the frames that the page shows for one side: "client" or "server".
func examples(t testing.TB, side string) (frames []string) {
	t.Helper()
	for _, block := range regexp.MustCompile("(?s)```json "+side+"\n(.*?)\n```").FindAllStringSubmatch(page(t), -1) {
		frames = append(frames, strings.Split(block[1], "\n")...)
	}
	if len(frames) < 20 {
		t.Fatalf("the page shows %d frames of the %s", len(frames), side)
	}
	return frames
}

// read reads the one frame of a message. It is the same for both sides.
func read(side string, e protocol.Encoding, message []byte) (frame any, err error) {
	n := 0
	if side == "client" {
		for c, fault := range protocol.Commands(e, protocol.DefaultLimits(), message) {
			frame, err, n = c, fault, n+1
		}
	} else {
		for f, fault := range protocol.Frames(e, message) {
			frame, err, n = f, fault, n+1
		}
	}
	if err == nil && n != 1 {
		err = fmt.Errorf("%d frames", n)
	}
	return frame, err
}

func write(e protocol.Encoding, frame any) ([]byte, error) {
	if c, is := frame.(protocol.Command); is {
		return e.AppendCommand(nil, c)
	}
	return e.Append(nil, frame.(protocol.Frame))
}

// Every frame that the page shows is read, and written as the page shows it. In CBOR
// it is what the golden file has, and is read as the same frame. FANLOOP_GOLDEN=write
// writes the files.
func TestThePageShowsWhatIsSent(t *testing.T) {
	for _, side := range []string{"client", "server"} {
		file := "testdata/" + side + ".cbor.hex"
		golden := map[string]string{}
		if text, err := os.ReadFile(file); err == nil {
			for line := range strings.Lines(string(text)) {
				binary, frame, _ := strings.Cut(strings.TrimSpace(line), " ")
				golden[frame] = binary
			}
		}
		var lines []string
		types := map[reflect.Type]bool{}
		for _, example := range examples(t, side) {
			frame, err := read(side, protocol.JSON, []byte(example))
			if err != nil {
				t.Fatalf("%s: %v", example, err)
			}
			types[reflect.TypeOf(frame)] = true
			if text, err := write(protocol.JSON, frame); err != nil || string(text) != example {
				t.Errorf("the page shows\n%s\nsent is (%v)\n%s", example, err, text)
			}
			binary, err := write(protocol.CBOR, frame)
			if err != nil {
				t.Fatal(err)
			}
			again, err := read(side, protocol.CBOR, binary)
			if err != nil || !reflect.DeepEqual(again, frame) {
				t.Errorf("%s\nin CBOR is %x (%v)", example, binary, err)
			}
			if line := hex.EncodeToString(binary) + " " + example; !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
		if want := len(protocol.NewOf(side)); len(types) != want {
			t.Errorf("the page shows %d types of the %s; there are %d", len(types), side, want)
		}
		if os.Getenv("FANLOOP_GOLDEN") == "write" {
			if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if len(golden) != len(lines) {
			t.Errorf("%s has %d frames, the page %d: run with FANLOOP_GOLDEN=write and look at the difference", file, len(golden), len(lines))
		}
		for _, line := range lines {
			if binary, frame, _ := strings.Cut(line, " "); golden[frame] != binary {
				t.Errorf("%s\nin CBOR was %s\nand is      %s", frame, golden[frame], binary)
			}
		}
	}
}

// The lists of numbers under "Binary encoding" are those of the types. One member has
// one number, whatever frame it is in.
func TestThePageHasTheNumbers(t *testing.T) {
	members := map[string]int{"type": 0}
	for _, side := range []string{"client", "server"} {
		kinds := map[string]int{}
		for _, frame := range protocol.NewOf(side) {
			name, number := protocol.KindOf(frame)
			kinds[name] = int(number)
			collect(t, reflect.TypeOf(frame).Elem(), members)
		}
		begin := map[string]string{"client": "Types of commands: ", "server": "Types of what the server sends: "}[side]
		compareNumbers(t, begin, kinds)
	}
	compareNumbers(t, "Members: ", members)
	seen := map[int]string{}
	for name, number := range members {
		if other, twice := seen[number]; twice {
			t.Errorf("%s and %s are both %d", name, other, number)
		}
		seen[number] = name
	}
}

func compareNumbers(t *testing.T, begin string, want map[string]int) {
	t.Helper()
	_, list, found := strings.Cut(page(t), "\n"+begin)
	list, _, _ = strings.Cut(list, "\n")
	got := map[string]int{}
	for _, match := range regexp.MustCompile("(\\d+) `(\\w+)`").FindAllStringSubmatch(list, -1) {
		got[match[2]], _ = strconv.Atoi(match[1])
	}
	if !found || !reflect.DeepEqual(got, want) {
		t.Errorf("%s\nthe page has %v\nthe types have %v", begin, got, want)
	}
}

// collect adds the members of a struct, and of those in it.
func collect(t *testing.T, of reflect.Type, members map[string]int) {
	t.Helper()
	for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
		of = of.Elem()
	}
	if of.Kind() != reflect.Struct {
		return
	}
	if of.NumField() > 22 {
		t.Errorf("%v has %d fields: the head of its map has no room for the type", of, of.NumField())
	}
	for i := range of.NumField() {
		field := of.Field(i)
		if !field.IsExported() {
			continue // not sent
		}
		collect(t, field.Type, members)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if field.Anonymous && name == "" {
			continue
		}
		digits, _, _ := strings.Cut(field.Tag.Get("cbor"), ",")
		number, err := strconv.Atoi(digits)
		if known, seen := members[name]; err != nil || name == "" || seen && known != number {
			t.Errorf("%v.%s: %q is %q (%v); elsewhere it is %d", of, field.Name, name, digits, err, known)
		}
		members[name] = number
	}
}

// The tables of errors and of close codes say what the code does.
func TestThePageHasTheCodes(t *testing.T) {
	text := page(t)
	_, errors, _ := strings.Cut(text, "\n## Errors\n")
	errors, ends, _ := strings.Cut(errors, "\n## The end of a connection\n")
	var named []protocol.Code
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (\\w+) \\|(.*)$").FindAllStringSubmatch(errors, -1) {
		code := protocol.Code(row[1])
		named = append(named, code)
		if string(code.Retry()) != row[2] {
			t.Errorf("%s: the page says %s, the code %s", code, row[2], code.Retry())
		}
		fault := protocol.Fail(nil, code, "")
		if closed := strings.Contains(row[3], "the connection is closed"); closed != fault.Fatal() {
			t.Errorf("%s: the page says closed: %v", code, closed)
		}
	}
	for _, row := range regexp.MustCompile("(?m)^\\| (\\d+) \\| `(\\w+)` \\|").FindAllStringSubmatch(ends, -1) {
		code := protocol.Code(row[2])
		if !slices.Contains(named, code) {
			named = append(named, code)
		}
		status, _ := strconv.Atoi(row[1])
		if code.Close() != protocol.CloseCode(status) || code.Close().Retry() != code.Retry() {
			t.Errorf("%s: the page says %d; the code %d, %s where the error has %s", code, status, code.Close(), code.Close().Retry(), code.Retry())
		}
	}
	known := protocol.Codes()
	slices.Sort(known)
	slices.Sort(named)
	if !slices.Equal(named, known) {
		t.Errorf("the page has\n%q\nthe package\n%q", named, known)
	}
	for _, code := range known {
		if code.Close().Retry() != code.Retry() {
			t.Errorf("%s: closed with %d, after which a client does %s, not %s", code, code.Close(), code.Close().Retry(), code.Retry())
		}
	}
}

// The ranges of the table of close codes hold for codes that nobody knows yet.
func TestUnknownCloseCodesMeanWhatTheirRangeMeans(t *testing.T) {
	for code, want := range map[protocol.CloseCode]protocol.Retry{
		1000: protocol.Never, 1001: protocol.Later, 1002: protocol.Never, 1003: protocol.Never, 1006: protocol.Later, 1007: protocol.Never,
		1009: protocol.Never, 1011: protocol.Later, 1012: protocol.Later, 1013: protocol.Later, 3999: protocol.Later,
		4000: protocol.Later, 4299: protocol.Later, 4300: protocol.AfterRefresh, 4399: protocol.AfterRefresh,
		4400: protocol.Never, 4499: protocol.Never,
	} {
		if got := code.Retry(); got != want {
			t.Errorf("%d: %s, want %s", code, got, want)
		}
	}
}
