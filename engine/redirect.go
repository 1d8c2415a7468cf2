package engine

import (
	"errors"
	"fmt"
	"net/http"
)

// redirect returns where the answer of t leads, if err is an answer that is to
// be followed; the error is err otherwise. followed is how many were followed
// before.
func (d *dialer) redirect(t target, followed int, err error) (target, error) {
	var status *StatusError
	if d.opt.MaxRedirects <= 0 || !errors.As(err, &status) || !isRedirect(status.Status) || status.Location() == "" {
		return t, err
	}
	if followed >= d.opt.MaxRedirects {
		return t, fmt.Errorf("%w (%d followed): %w", ErrTooManyRedirects, followed, err)
	}
	location := status.Location()
	u, parseErr := t.url.Parse(location)
	if parseErr != nil {
		return t, fmt.Errorf("%w; where it points to: %w", err, withoutURL(location, parseErr))
	}
	switch u.Scheme {
	case "http":
		u.Scheme = "ws"
	case "https":
		u.Scheme = "wss"
	}
	u.Fragment, u.RawFragment = "", "" // RFC 9110 §10.2.2: not for the server
	next, targetErr := newTarget(u)
	switch {
	case targetErr != nil:
		return t, fmt.Errorf("%w; it points to %q: %w", err, next, targetErr)
	case t.secure && !next.secure:
		return t, fmt.Errorf("%w: %w", ErrInsecureRedirect, err)
	}
	return next, nil
}

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}
