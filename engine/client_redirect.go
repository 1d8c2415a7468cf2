package engine

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/fanloop-go/fanloop/engine/internal/wsurl"
)

// redirect returns where the answer of t leads, if err is an answer that is to
// be followed; the error is err otherwise. followed is how many were followed
// before.
func (d *dialer) redirect(t wsurl.Target, followed int, err error) (wsurl.Target, error) {
	var status *StatusError
	if !errors.As(err, &status) || !d.opt.follows(status) {
		return t, err
	}
	d.stage = StageRedirect
	if followed >= d.opt.MaxRedirects {
		return t, fmt.Errorf("%w (%d followed): %w", ErrTooManyRedirects, followed, err)
	}
	next, locationErr := t.Follow(status.Location())
	switch {
	case locationErr != nil:
		return t, fmt.Errorf("%w; %w", err, locationErr)
	case t.Secure && !next.Secure:
		return t, fmt.Errorf("%w: %w", ErrInsecureRedirect, err)
	}
	return next, nil
}

// follows reports whether an answer is a redirect that may be followed.
func (opt *DialOptions) follows(status *StatusError) bool {
	return opt.MaxRedirects > 0 && isRedirect(status.Status) && status.Location() != ""
}

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}
