package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strconv"
	"unicode/utf8"
)

var errJSON = errors.New("auth: wrong JSON")

// maxFields is how many members an object may have.
const maxFields = 1024

// object reads one JSON object and nothing behind it. Unlike package json it refuses
// a name that is there twice, and takes names as they are written. Members are not
// parsed further.
func object(data []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(data) {
		return nil, errJSON
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errJSON
	}
	fields := make(map[string]json.RawMessage)
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok || len(fields) >= maxFields {
			return nil, errJSON
		}
		if _, twice := fields[name]; twice {
			return nil, errJSON
		}
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return nil, errJSON
		}
		fields[name] = value
	}
	if t, err := d.Token(); err != nil || t != json.Delim('}') {
		return nil, errJSON
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errJSON
	}
	return fields, nil
}

// text reads a string of at most limit bytes.
func text(raw json.RawMessage, limit int) (string, error) {
	var s string
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &s) != nil || len(s) > limit {
		return "", errJSON
	}
	return s, nil
}

// texts reads an array of strings.
func texts(raw json.RawMessage, most, limit int) ([]string, error) {
	var raws []json.RawMessage
	if len(raw) == 0 || raw[0] != '[' || json.Unmarshal(raw, &raws) != nil || len(raws) > most {
		return nil, errJSON
	}
	all := make([]string, len(raws))
	for i, raw := range raws {
		s, err := text(raw, limit)
		if err != nil {
			return nil, err
		}
		all[i] = s
	}
	return all, nil
}

// seconds reads a NumericDate of RFC 7519 section 2: a number, which may have a
// fraction. Fractions are cut.
func seconds(raw json.RawMessage) (int64, error) {
	const farthest = 1 << 37 // about the year 6325
	if len(raw) == 0 || raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		return 0, errJSON // a string or null
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || !(f >= 0 && f <= farthest) {
		return 0, errJSON
	}
	return int64(math.Floor(f)), nil
}
