package httpdate

import (
	"net/http"
	"testing"
	"time"
)

func TestNowIsTheDateInHTTP(t *testing.T) {
	before := time.Now().Truncate(time.Second)
	got, err := http.ParseTime(Now())
	if err != nil || got.Before(before) || got.After(time.Now()) {
		t.Errorf("got %v (%v), want now", got, err)
	}
	last.Store(&date{second: time.Now().Add(-time.Hour).Unix(), text: "old"})
	if Now() == "old" {
		t.Error("an hour later it is the same")
	}
}
