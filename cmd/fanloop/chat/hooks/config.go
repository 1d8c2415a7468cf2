package hooks

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/fanloop-go/fanloop/loop"
)

// Kind is what a hook is asked about.
type Kind string

// All kinds.
const (
	Connect   Kind = "connect"
	Subscribe Kind = "subscribe"
	Publish   Kind = "publish"
	Refresh   Kind = "refresh"
)

// Otherwise is what is decided without an answer.
type Otherwise string

// All choices.
const (
	Refuse Otherwise = "refuse"
	Allow  Otherwise = "allow"
)

// Config is how a hook works. The zero value of a field but Kind, URL and Secrets means
// its default.
type Config struct {
	Kind Kind
	// URL gets a POST for each question: https, or http.
	URL string
	// Secrets sign requests: at least one, of 32 bytes or more. With two, requests have
	// two signatures, so the backend can change from one to the other.
	Secrets []string
	// Timeout is for a question, with all its waiting (3 s).
	Timeout time.Duration
	// Concurrency is how many requests run at once (32).
	Concurrency int
	// Waiting is how many questions wait for their turn (4 for each that runs).
	Waiting int
	// MaxBody is the size of an answer at most, in bytes (MaxData and 48 KiB).
	MaxBody int64
	// MaxData is the size of data that replaces what is published at most, in bytes (16 KiB).
	MaxData int
	// Otherwise is what is decided without an answer (Refuse). Allow is for Subscribe and
	// Publish only.
	Otherwise Otherwise
	// Failures in a row open the circuit (5); so does half of 20 or more within 10 s.
	Failures int
	// Open is how long the circuit is open, give or take a fifth (10 s).
	Open time.Duration
	// PublicOnly refuses URLs whose address is not public: loopback, private networks and
	// others. Set it when users who are not operators configure URLs. Link-local
	// addresses, where clouds answer for a machine's credentials, are always refused.
	PublicOnly bool
	// OnState is called when the circuit opens and when it closes. It does not block.
	OnState func(Kind, State)
	// OnAnswer is called for each question, with the reason if there is no answer. It does
	// not block.
	OnAnswer func(Kind, Outcome, error, time.Duration)
	// OnPanic is called when a question panics, which then has no answer, or the function that
	// was given to Go. It does not block.
	OnPanic func(Kind, *loop.PanicError)
	// Tracer records a span for each request, whose traceparent the request brings; nil:
	// none.
	Tracer trace.Tracer
	// Transport is for tests; nil: one of its own.
	Transport http.RoundTripper
}

// check fills in the defaults, and returns an error that names the wrong field.
func (c *Config) check() error {
	switch c.Kind {
	case Connect, Subscribe, Publish, Refresh:
	default:
		return fmt.Errorf("hooks: kind %.20q: want connect, subscribe, publish or refresh", c.Kind)
	}
	if err := checkURL(c.URL); err != nil {
		return fmt.Errorf("hooks: %s: %w", c.Kind, err)
	}
	if len(c.Secrets) == 0 || len(c.Secrets) > 4 {
		return fmt.Errorf("hooks: %s: want 1 to 4 secrets to sign requests with", c.Kind)
	}
	for _, s := range c.Secrets {
		if len(s) < 32 {
			return fmt.Errorf("hooks: %s: a secret has less than 32 bytes", c.Kind)
		}
	}
	switch {
	case c.Otherwise == "":
		c.Otherwise = Refuse
	case c.Otherwise == Allow && (c.Kind == Connect || c.Kind == Refresh):
		return fmt.Errorf("hooks: %s: without an answer nobody is let in; want refuse", c.Kind)
	case c.Otherwise != Allow && c.Otherwise != Refuse:
		return fmt.Errorf("hooks: %s: otherwise %.20q: want refuse or allow", c.Kind, c.Otherwise)
	}
	if c.Timeout < 0 || c.Open < 0 || c.Concurrency < 0 || c.Waiting < 0 || c.MaxBody < 0 || c.MaxData < 0 || c.Failures < 0 {
		return fmt.Errorf("hooks: %s: a time or number is negative", c.Kind)
	}
	c.Timeout = orDefault(c.Timeout, 3*time.Second)
	c.Concurrency = orDefault(c.Concurrency, 32)
	c.Waiting = orDefault(c.Waiting, 4*c.Concurrency)
	c.MaxData = orDefault(c.MaxData, 16<<10)
	c.MaxBody = orDefault(c.MaxBody, int64(c.MaxData)+48<<10)
	c.Failures = orDefault(c.Failures, 5)
	c.Open = orDefault(c.Open, 10*time.Second)
	return nil
}

func orDefault[T time.Duration | int | int64](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}

// checkURL refuses an invalid URL. Errors do not show a password.
func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("the URL is none: write it like https://backend.example/hooks/connect")
	case u.User != nil:
		return errors.New("the URL has a user in it; requests are signed, leave it out")
	case u.Fragment != "":
		return errors.New("the URL has a fragment; leave it out")
	}
	if ip := net.ParseIP(u.Hostname()); ip != nil && ip.IsLinkLocalUnicast() {
		return errors.New("the URL has a link-local address")
	}
	return nil
}
