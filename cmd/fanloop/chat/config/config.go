package config

import (
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/proxies"
)

// Config are the settings of one node. Default returns the usual ones.
type Config struct {
	Listen          string        `yaml:"listen" flag:"serve clients and the page on 'host:port'"`
	TLSCert         string        `yaml:"tls-cert" flag:"serve clients by TLS with the certificate in this PEM 'file'; it is read again when it changes"`
	TLSKey          string        `yaml:"tls-key" flag:"PEM 'file' with the key of --tls-cert"`
	TrustedProxies  []string      `yaml:"trusted-proxies" flag:"'addresses' and networks of proxies that name the client, with commas: 10.0.0.0/8"`
	ProxyHeader     string        `yaml:"proxy-header" flag:"how trusted proxies name the client: x-forwarded-for, forwarded or proxy-protocol"`
	Address         string        `yaml:"address" flag:"'URL' where clients reach this node, like https://n1.chat.example; told to clients of other nodes"`
	Admin           string        `yaml:"admin" flag:"serve operators and the server API on 'host:port'; empty: not at all"`
	AdminTLSCert    string        `yaml:"admin-tls-cert" flag:"serve the admin address by TLS with the certificate in this PEM 'file'; it is read again when it changes"`
	AdminTLSKey     string        `yaml:"admin-tls-key" flag:"PEM 'file' with the key of --admin-tls-cert"`
	AdminClientCA   string        `yaml:"admin-client-ca" flag:"PEM 'file' with the authorities of certificates by which callers and operators may show themselves"`
	DataDir         string        `yaml:"data-dir" flag:"keep messages and revocations in this 'folder'; empty: until the end"`
	MaxStore        Size          `yaml:"max-store" flag:"keep at most this 'size' of messages in --data-dir; 0: three quarters of what is free"`
	Name            string        `yaml:"name" flag:"'name' of this node in its cluster; empty: that of the machine"`
	Cluster         string        `yaml:"cluster" flag:"serve the other nodes of the cluster on 'host:port', where they reach it"`
	Routes          []string      `yaml:"routes" flag:"'addresses' of all nodes, three or five, with commas: that of each --cluster"`
	NATSListen      string        `yaml:"nats-listen" flag:"let further nodes join by --nats on 'host:port'; empty: not"`
	NATS            string        `yaml:"nats" flag:"use the NATS servers at this 'URL', and start none"`
	NATSSecretFile  string        `yaml:"nats-secret-file" flag:"'file' with the secret that nodes show one another"`
	Replicas        int           `yaml:"replicas"`
	Origins         []string      `yaml:"origins" flag:"let pages of these 'origins' connect, besides the own page"`
	ShutdownDelay   time.Duration `yaml:"shutdown-delay" flag:"at the end, fail /readyz this long before connections are closed"`
	ShutdownTimeout time.Duration `yaml:"shutdown-timeout" flag:"wait this long for connections to close at the end"`

	Accounts    Accounts             `yaml:"accounts"`
	Page        Page                 `yaml:"page"`
	Namespaces  map[string]Namespace `yaml:"namespaces"`
	Hooks       Hooks                `yaml:"hooks"`
	Limits      Limits               `yaml:"limits"`
	Traces      Traces               `yaml:"traces"`
	Operator    Operator             `yaml:"operator"`
	Callers     []Caller             `yaml:"callers"`
	Idempotency Idempotency          `yaml:"idempotency"`
}

// Accounts is how users are known. Without keys, JWKS and connect hook there are no
// accounts, and only loopback addresses are served.
type Accounts struct {
	Keys           []Key         `yaml:"keys"`
	JWKS           JWKS          `yaml:"jwks"`
	Audience       []string      `yaml:"audience"`
	Issuer         string        `yaml:"issuer"`
	MaxLifetime    time.Duration `yaml:"max-lifetime"`
	Leeway         time.Duration `yaml:"leeway"`
	MaxRevocations int           `yaml:"max-revocations"`
}

// Page is what the page has to know of your site where there are accounts.
type Page struct {
	TokenURL  string `yaml:"token-url"`
	SignInURL string `yaml:"sign-in-url"`
}

// Key checks tokens. One of Secret, SecretFile and PublicFile is set.
type Key struct {
	ID         string `yaml:"id"`
	Algorithm  string `yaml:"algorithm"`
	Secret     Secret `yaml:"secret"`
	SecretFile string `yaml:"secret-file"`
	PublicFile string `yaml:"public-file"`
}

// JWKS is where keys come from.
type JWKS struct {
	URL      string        `yaml:"url"`
	Every    time.Duration `yaml:"every"`
	AtLeast  time.Duration `yaml:"at-least"`
	MaxStale time.Duration `yaml:"max-stale"`
}

// Namespace has the rules of topics.
type Namespace struct {
	HistorySize   int           `yaml:"history-size"`
	HistoryAge    time.Duration `yaml:"history-age"`
	HistoryShrink bool          `yaml:"history-shrink"`
	Presence      Level         `yaml:"presence"`
	ReadPositions bool          `yaml:"read-positions"`
	Who           Who           `yaml:"who"`
}

// Hooks are those that are asked; nil: not.
type Hooks struct {
	Connect   *Hook `yaml:"connect"`
	Subscribe *Hook `yaml:"subscribe"`
	Publish   *Hook `yaml:"publish"`
	Refresh   *Hook `yaml:"refresh"`
}

// Hook is one question to the backend.
type Hook struct {
	URL         string        `yaml:"url"`
	Secrets     []Secret      `yaml:"secrets"`
	SecretFiles []string      `yaml:"secret-files"`
	Timeout     time.Duration `yaml:"timeout"`
	Concurrency int           `yaml:"concurrency"`
	Waiting     int           `yaml:"waiting"`
	Otherwise   string        `yaml:"otherwise"`
	Failures    int           `yaml:"failures"`
	Open        time.Duration `yaml:"open"`
	PublicOnly  bool          `yaml:"public-only"`
}

// Limits are those of one connection, one user and one address.
type Limits struct {
	Message Size `yaml:"message"`
	Data    Size `yaml:"data"`
	Topics  int  `yaml:"topics"`
	User    Per  `yaml:"user"`
	Address Per  `yaml:"address"`
}

// Per is for each user or for each address. 0 is no limit.
type Per struct {
	Connections int  `yaml:"connections"`
	Topics      int  `yaml:"topics"`
	Connects    Rate `yaml:"connects"`
	Commands    Rate `yaml:"commands"`
	Bytes       Rate `yaml:"bytes"`
}

// Rate is so much in a second, and so much at once.
type Rate struct {
	PerSecond float64 `yaml:"per-second"`
	Burst     float64 `yaml:"burst"`
}

// Traces is where spans of hooks and calls of the server API are sent.
type Traces struct {
	URL    string  `yaml:"url"`
	Sample float64 `yaml:"sample"`
}

// Operator is who sees metrics, profiles and the operator's page. Without a key and
// certificates, it is whoever is on this machine.
type Operator struct {
	Key          Secret   `yaml:"key"`
	KeyFile      string   `yaml:"key-file"`
	Certificates []string `yaml:"certificates"`
}

// isOpen reports whether operators show nothing.
func (o *Operator) isOpen() bool {
	return o.Key.Reveal() == "" && o.KeyFile == "" && len(o.Certificates) == 0
}

// Caller is a backend that uses the server API. It has a key or the name of a certificate.
type Caller struct {
	Name        string   `yaml:"name"`
	Key         Secret   `yaml:"key"`
	KeyFile     string   `yaml:"key-file"`
	Certificate string   `yaml:"certificate"`
	Calls       []string `yaml:"calls"`
	Namespaces  []string `yaml:"namespaces"`
}

// Idempotency is how long, and how many, keys of the server API are kept.
type Idempotency struct {
	Keep     time.Duration `yaml:"keep"`
	MaxKeys  int           `yaml:"max-keys"`
	MaxBytes Size          `yaml:"max-bytes"`
}

// Default returns the settings without a file.
func Default() Config {
	return Config{
		Listen:          "127.0.0.1:8000",
		ProxyHeader:     proxies.ForwardedFor,
		Admin:           "127.0.0.1:8001",
		ShutdownTimeout: 10 * time.Second,
		Accounts: Accounts{
			JWKS:        JWKS{Every: 5 * time.Minute, AtLeast: 30 * time.Second, MaxStale: 24 * time.Hour},
			MaxLifetime: 24 * time.Hour, Leeway: 30 * time.Second, MaxRevocations: 200_000,
		},
		Namespaces: map[string]Namespace{"default": defaultNamespace()},
		Limits: Limits{
			Message: 64 << 10, Data: 16 << 10, Topics: 256,
			User: Per{Connections: 50, Topics: 1000, Commands: Rate{20, 100}},
			Address: Per{
				Connections: 1000, Topics: 20_000, Connects: Rate{50, 500}, Commands: Rate{500, 2000}, Bytes: Rate{4 << 20, 16 << 20},
			},
		},
		Traces:      Traces{Sample: 1},
		Idempotency: Idempotency{Keep: 10 * time.Minute, MaxKeys: 10_000, MaxBytes: 8 << 20},
	}
}
