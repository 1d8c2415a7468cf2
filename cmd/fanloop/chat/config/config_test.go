package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/hooks"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
	"github.com/fanloop-go/fanloop/cmd/fanloop/cli"
	"github.com/fanloop-go/fanloop/engine/cluster/presence"
)

const secret = "0123456789abcdef0123456789abcdef"

// The documented file says what is so without a file.
func TestDefaultFileIsTheDefault(t *testing.T) {
	c, err := config.Parse("default.yaml", config.DefaultFile)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(string(config.DefaultFile), "\n") {
		if len(line) > 95 {
			t.Errorf("line %d is too long to be read: %s", i+1, line)
		}
	}
	want := config.Default()
	for _, list := range []*[]string{&want.TrustedProxies, &want.Routes, &want.Origins, &want.Accounts.Audience} {
		*list = []string{}
	}
	want.Accounts.Keys, want.Callers, want.Operator.Certificates = []config.Key{}, []config.Caller{}, []string{}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("the file says\n%+v\nthe default is\n%+v", c, want)
	}
	if _, err := config.Parse("x", nil); err != nil {
		t.Error("an empty file:", err)
	}
}

// Every key is in the documented file.
func TestDefaultFileHasEveryKey(t *testing.T) {
	text := string(config.DefaultFile)
	var walk func(v reflect.Type)
	walk = func(v reflect.Type) {
		switch v.Kind() {
		case reflect.Pointer, reflect.Slice:
			walk(v.Elem())
		case reflect.Map:
			walk(v.Elem())
		case reflect.Struct:
			for i := range v.NumField() {
				f := v.Field(i)
				if name := f.Tag.Get("yaml"); name != "" {
					if !strings.Contains(text, " "+name+":") && !strings.Contains(text, "\n"+name+":") {
						t.Errorf("%s is not in the file", name)
					}
					walk(f.Type)
				}
			}
		}
	}
	walk(reflect.TypeFor[config.Config]())
	for _, right := range rules.RightNames() {
		if !strings.Contains(text, " "+right+": ") {
			t.Errorf("%s is not in the file", right)
		}
	}
}

// A whole file, and what is made of it.
func TestFile(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	text := fmt.Sprintf(`
listen: 0.0.0.0:80
origins: [https://example.com, "https://*.example.com"]
accounts:
  keys:
    - {id: a, algorithm: HS256, secret-file: %q}
    - {id: b, algorithm: HS512, secret: %s}
  audience: [chat]
namespaces:
  team:
    history-size: 5
    who: {publish: granted}
  quiet: {history-size: 0, history-age: 0s, presence: off}
hooks:
  subscribe: {url: "https://backend.example/", secrets: [%s], timeout: 1s, otherwise: allow}
limits: {message: 1MiB, user: {commands: {per-second: 0.5, burst: 3}}}
callers:
  - {name: shop, key-file: %q, calls: [publish, history], namespaces: [team, default]}
`, write("secret", secret+"\n"), secret, secret, write("key", secret+"\r\n"))
	c, err := config.Parse("x.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := c.Accounts.StaticKeys()
	if err != nil || len(keys) != 2 || keys["a"].Algorithm() != "HS256" || keys["b"].Algorithm() != "HS512" {
		t.Errorf("%v, %v", keys, err)
	}
	if _, err := c.Accounts.Verifier(keys); err != nil {
		t.Error(err)
	}
	if _, ok := c.Accounts.Remote(); ok || !c.HasAccounts() {
		t.Error("accounts")
	}
	r, err := c.Rules()
	if err != nil {
		t.Fatal(err)
	}
	ann := rules.Subject{User: "ann", Subscribed: true}
	for topic, want := range map[string]error{"lobby": nil, "team:a": rules.ErrDenied, "quiet:a": nil, "default:a": rules.ErrNamespace} {
		if err := r.May(ann, rules.Request{Command: rules.DoPublish, Topic: topic}); !errors.Is(err, want) {
			t.Errorf("%s: %v", topic, err)
		}
	}
	if n, _ := r.Namespace("team:a"); n.HistorySize != 5 || n.HistoryAge != 168*time.Hour || n.Presence != presence.Full {
		t.Errorf("what a namespace leaves out: %+v", n)
	}
	if r.PresenceLevel("quiet:a") != presence.Off {
		t.Error("presence of quiet")
	}
	all, err := c.Hooks.All(func(*hooks.Config) {})
	if err != nil || len(all) != 1 || all[hooks.Subscribe].Kind() != hooks.Subscribe {
		t.Errorf("%v, %v", all, err)
	}
	callers, err := c.APICallers()
	if shop, ok := callers.Find(secret); err != nil || !ok || shop.Name != "shop" || !shop.Calls[rules.CallHistory] || shop.Calls[rules.CallRevoke] || !shop.Namespaces[""] {
		t.Errorf("%+v, %v", callers, err)
	}
	if _, ok := callers.Find(secret[1:]); ok || strings.Contains(fmt.Sprint(callers), secret) {
		t.Error("another key is taken, or the key is kept")
	}
	if l := c.Limits.User.Limits(); l.Commands.PerSecond != 0.5 || l.Connections != 50 || c.Limits.Message != 1<<20 {
		t.Errorf("%+v", l)
	}
}

// A mistake is named with its file, its line and its key, and what may be meant.
func TestMistakes(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"lisen: x", `x.yaml:1: lisen: unknown key; did you mean listen?`},
		{"a: 1", `x.yaml:1: a: unknown key`},
		{"\n\nlimits:\n  user:\n    conections: 3", `x.yaml:5: limits.user.conections: unknown key; did you mean connections?`},
		{"histroy-size: 3", `x.yaml:1: histroy-size: unknown key; did you mean namespaces.NAME.history-size?`},
		{"namespaces:\n  team:\n    histroy-size: 3", `x.yaml:3: namespaces.team.histroy-size: unknown key; did you mean history-size?`},
		{"hooks: {conect: {}}", `hooks.conect: unknown key; did you mean connect?`},
		{"hooks: {x: {}}", `hooks.x: unknown key; want connect, subscribe, publish, refresh`},
		{"accounts:\n  keys:\n    - id: a\n      algoritm: x", `x.yaml:4: accounts.keys[0].algoritm: unknown key; did you mean algorithm?`},
		{"namespaces:\n  team:\n    who:\n      publsh: users", `x.yaml:4: namespaces.team.who.publsh: unknown key; did you mean publish?`},
		{"namespaces: {team: {who: {publish: user}}}", `namespaces.team.who.publish: want nobody, granted, subscribers or users; did you mean users?`},
		{"namespaces: {team: {presence: ful}}", `namespaces.team.presence: want off, count, sample, pages or full; did you mean full?`},
		{"namespaces:\n  Team: {}", `x.yaml:2: namespaces.Team: want a-z, 0-9`},
		{"namespaces:\n  a:\n    history-size: 0", `x.yaml:2: namespaces.a: history size 0`},
		{"namespaces:\n  a:\n    history-age: 59s", `x.yaml:3: namespaces.a.history-age: want 1m0s (limits.duplicates`},
		{"namespaces:\n  default:\n    history-age: 1ms", `x.yaml:3: namespaces.default.history-age: want 1m0s`},
		{"listen: a:1\nlisten: b:1", `x.yaml:2: listen: is in line 1 already`},
		{"listen: [a]", `x.yaml:1: listen: want one value`},
		{"listen: 8000", `x.yaml:1: listen: "8000" is not an address`},
		{"routes: x", `x.yaml:1: routes: want a list`},
		{"limits: 3", `x.yaml:1: limits: want keys with values`},
		{"- a", `x.yaml:1: want keys with values`},
		{"shutdown-timeout: 10", `x.yaml:1: shutdown-timeout: want a duration like`},
		{"shutdown-timeout: -1s", `shutdown-timeout: want a duration that is not negative, like`},
		{"limits: {topics: -1}", `limits.topics: want a whole number that is not negative`},
		{"limits: {topics: 1.5}", `limits.topics: want a whole number`},
		{"limits: {message: 8kib}", `limits.data: want more than 0`},
		{"limits: {message: big}", `limits.message: want a size`},
		{"limits: {user: {commands: {per-second: .inf}}}", `limits.user.commands.per-second: want a number`},
		{"limits:\n  user:\n    commands: {per-second: 5, burst: 0}", `x.yaml:3: limits.user.commands: want a burst`},
		{"hooks: {connect: {public-only: yes, url: x}}", `hooks.connect.public-only: want true or false`},
		{"hooks:\n  connect:\n    url: x", `x.yaml:2: hooks.connect: the URL is none`},
		{"hooks: {connect: {url: 'https://x/', secrets: [" + secret + "], otherwise: allow}}", `without an answer nobody is let in`},
		{"accounts:\n  keys:\n  - {id: a, algorithm: HS256, secret: short}", `x.yaml:3: accounts.keys[0]: key "a" does not fit HS256: want a secret of 32 to 1024 bytes, and not one of 5`},
		{"accounts: {keys: [{id: a, algorithm: HS256}]}", `accounts.keys[0]: want one of secret, secret-file and public-file`},
		{"accounts: {keys: [{id: a, algorithm: HS256, secret-file: /nowhere/a}]}", `accounts.keys[0]: open /nowhere/a`},
		{"listen: 0.0.0.0:80", `x.yaml:1: listen: without accounts only loopback addresses are served`},
		{"listen: :80", `listen: without accounts only loopback addresses are served; listen on 127.0.0.1, or say how users are known: accounts.keys, accounts.jwks.url or hooks.connect`},
		{"listen: 127.0.0.1:99999", `x.yaml:1: listen: "127.0.0.1:99999" has no port from 0 to 65535`},
		{"listen: 127.0.0.1:nosuch", `x.yaml:1: listen: "127.0.0.1:nosuch" has no port from 0 to 65535`},
		{"limits:\n\tmessage: 64KiB", `x.yaml:2: a line begins with a tab; indent with spaces`},
		{"limits:\n  user:\n  \ttopics: 3", `x.yaml:3: a line begins with a tab; indent with spaces`},
		{"admin: 0.0.0.0:8001", `x.yaml:1: admin: other machines reach this address: set operator.key-file, or operator.certificates`},
		{"admin: :8001\noperator: {key: " + secret + "}\nlisten: a", `listen: "a" is not an address`},
		{"cluster: 127.0.0.1:9\nroutes: [127.0.0.1:1, 127.0.0.1:2, 127.0.0.1:3]\ndata-dir: /x", `x.yaml:1: cluster: "127.0.0.1:9" is none of routes`},
		{"cluster: 127.0.0.1:1\nroutes: [127.0.0.1:1, 127.0.0.1:2, 127.0.0.1:1]\ndata-dir: /x", `x.yaml:2: routes[2]: is there twice`},
		{"nats: http://a", `nats: want a URL like nats://`},
		{"nats: nats://a\nroutes: [b:1]", `x.yaml:1: nats: routes and nats-listen are for nodes`},
		{"nats: 'nats://a,b'", `nats: want a URL like nats://`},
		{"routes: [b:1, c:1, d:1]", `x.yaml:1: routes: set cluster to the address of this node`},
		{"cluster: 127.0.0.1:1", `x.yaml:1: cluster: set routes to the addresses of all nodes`},
		{"cluster: 127.0.0.1:1\nroutes: [b:1, c:1]", `x.yaml:2: routes: want the addresses of three or five nodes`},
		{"cluster: b:1\nnats-secret-file: /nowhere/b\nroutes: [b:1, c:1, d:1]", `data-dir: a node of a cluster keeps messages`},
		{"nats-listen: 0.0.0.0:1", `x.yaml:1: nats-listen: whoever reaches this address could do everything`},
		{"nats-secret-file: /nowhere/a", `x.yaml:1: nats-secret-file: open /nowhere/a`},
		{"replicas: 2", `x.yaml:1: replicas: want 0, 1 or 3`},
		{"replicas: 3", `x.yaml:1: replicas: three servers keep each message: set routes`},
		{"nats-listen: 127.0.0.1:1\nreplicas: 3", `x.yaml:2: replicas: three servers keep each message`},
		{"accounts:\n  jwks:\n    url: http://example.com/x", `x.yaml:3: accounts.jwks.url: the URL of the JWKS begins with "http": want https`},
		{"accounts: {jwks: {url: 'https://a:b@example.com/x'}}", `x.yaml:1: accounts.jwks.url: the URL of the JWKS has a user in it`},
		{"accounts: {jwks: {url: x}}", `x.yaml:1: accounts.jwks.url: the URL of the JWKS is none`},
		{"address: a.example", `x.yaml:1: address: "a.example": want what is in front of the path`},
		{"address: 'https://a.example/'", `address: "https://a.example/": want`},
		{"address: 'https://A.example'", `want`},
		{"address: 'wss://a.example'", `want`},
		{"address: 'https://*.example'", `want`},
		{"address: 'https://u@a.example'", `want`},
		{"name: a.b", `x.yaml:1: name: want letters`},
		{"routes: [a:1, b]", `x.yaml:1: routes[1]: "b" is not an address`},
		{"origins: ['*']", `origins[0]: "*": want an origin`},
		{"page: {token-url: chat-token}", `page.token-url: "chat-token": want a path`},
		{"page: {token-url: //example.com/t}", `page.token-url: "//example.com/t": want a path`},
		{"page: {token-url: 'http://example.com/t'}", `page.token-url: "http://example.com/t": want a path`},
		{"page: {token-url: 'https://a:b@example.com/t'}", `page.token-url:`},
		{"page: {sign-in-url: 'http://example.com/in'}", `page.sign-in-url: "http://example.com/in": want a path`},
		{"callers: [{name: a, key: short}]", `callers[0]: want a key of at least 32`},
		{"callers: [{key: " + secret + "}]", `callers[0]: want a name`},
		{"callers: [{name: a, key: " + secret + ", calls: [root]}]", `callers[0]: "root" is no call`},
		{"callers: [{name: a, key: " + secret + "}, {name: b, key: " + secret + "}]", `callers[1]: the key is that of "a" too`},
		{"namespaces: {team: {}}\ncallers:\n- name: a\n  key: " + secret + "\n  namespaces: [team, taem]", `x.yaml:5: callers[0].namespaces[1]: there is no namespace "taem"; did you mean team?`},
		{"callers: [{name: a, certificate: shop}]", `callers[0]: set admin-client-ca`},
		{"admin-tls-cert: /nowhere/c", `x.yaml:1: admin-tls-cert: set admin-tls-key too`},
		{"admin-tls-key: /nowhere/c", `x.yaml:1: admin-tls-key: set admin-tls-cert too`},
		{"admin-client-ca: /nowhere/c", `x.yaml:1: admin-client-ca: certificates are shown by TLS: set admin-tls-cert`},
		{"admin-tls-cert: /nowhere/c\nadmin-tls-key: /nowhere/c", `x.yaml:1: admin-tls-cert: stat /nowhere/c`},
		{"tls-cert: /nowhere/c", `x.yaml:1: tls-cert: set tls-key too`},
		{"tls-key: /nowhere/c", `x.yaml:1: tls-key: set tls-cert too`},
		{"tls-cert: /nowhere/c\ntls-key: /nowhere/c", `x.yaml:1: tls-cert: stat /nowhere/c`},
		{"trusted-proxies: [10.0.0.1, 10.0.0]", `x.yaml:1: trusted-proxies[1]: "10.0.0": want an address like 10.0.0.1, or a network`},
		{"proxy-header: x-real-ip", `x.yaml:1: proxy-header: "x-real-ip": want x-forwarded-for, forwarded or proxy-protocol`},
		{"proxy-header: proxy-protocol", `x.yaml:1: proxy-header: set trusted-proxies`},
		{"traces: {url: 'grpc://x'}", `x.yaml:1: traces.url: want the URL of a collector`},
		{"traces: {sample: 2}", `x.yaml:1: traces.sample: want a part of 1`},
		{"max-store: big", `x.yaml:1: max-store: want a size`},
		{"operator: {certificates: [ops]}", `operator.certificates: set admin-client-ca`},
		{"operator: {key: short}", `operator: want a key of at least 32`},
		{"operator: {key-file: /nowhere/a}", `operator.key-file: open /nowhere/a`},
		{"a: [", `x.yaml:1: did not find expected node content`},
		{"a: &x 1\nlisten: *x", `listen: aliases are not supported`},
		{"listen: a:1\n---\nlisten: b:1", `want one YAML document`},
		{"? [a]\n: b", `a key is one word`},
		{"#" + strings.Repeat("x", 1<<20), `the file has more than 1048576 bytes`},
	} {
		_, err := config.Parse("x.yaml", []byte(tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.60q: %v\nwant %s", tt.text, err, tt.want)
		}
	}
}

// Mistakes of one list, or of one group of settings, are all reported.
func TestAllMistakesOfAListAtOnce(t *testing.T) {
	for text, want := range map[string][]string{
		"callers: [{name: a, key: short}, {name: b, key: short}]":                      {"callers[0]", "callers[1]"},
		"accounts: {keys: [{id: a, algorithm: HS256}, {id: b, algorithm: HS256}]}":     {"accounts.keys[0]", "accounts.keys[1]"},
		"hooks: {subscribe: {url: x}, publish: {url: x}}":                              {"hooks.subscribe", "hooks.publish"},
		"namespaces: {a: {history-size: 0}, b: {history-size: 0}}":                     {"namespaces.a", "namespaces.b"},
		"namespaces: {a: {history-age: 1s}, b: {history-age: 2s, history-size: 0}}":    {"namespaces.a.history-age", "namespaces.b"},
		"callers: [{name: a, key: " + secret + ", namespaces: [x, y]}]":                {"callers[0].namespaces[0]", "callers[0].namespaces[1]"},
		"accounts: {jwks: {url: x, every: 0s}}":                                        {"accounts.jwks", "accounts.jwks.url"},
		"origins: ['*', 'null']":                                                       {"origins[0]", "origins[1]"},
		"limits: {message: 1, topics: 0, user: {commands: {per-second: 5, burst: 0}}}": {"limits.message", "limits.topics", "limits.user.commands"},
		"traces: {url: x, sample: 2}":                                                  {"traces.url", "traces.sample"},
		"accounts: {max-lifetime: 0s, max-revocations: 0}":                             {"accounts.max-lifetime", "accounts.max-revocations"},
	} {
		_, err := config.Parse("x.yaml", []byte(text))
		for _, key := range want {
			if err == nil || strings.Count(err.Error(), key+": ") != 1 {
				t.Errorf("%s: want one mistake of %s:\n%v", text, key, err)
			}
		}
	}
}

// What only several servers, or no history, can do is no mistake where they are.
func TestWhatIsRightElsewhere(t *testing.T) {
	for _, text := range []string{
		"namespaces: {a: {history-age: 1m}}", "namespaces: {a: {history-size: 0, history-age: 0s}}",
		"nats: nats://a\nreplicas: 3", "callers: [{name: a, key: " + secret + ", namespaces: [default]}]",
		"data-dir: /x\ncluster: 127.0.0.1:1\nroutes: [127.0.0.1:1, 127.0.0.1:2, 127.0.0.1:3]\nreplicas: 3",
	} {
		if _, err := config.Parse("x.yaml", []byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// All mistakes are reported together, each as a value.
func TestAllMistakesAtOnce(t *testing.T) {
	_, err := config.Parse("x.yaml", []byte("lisen: a\nadmi: b\nlimits: {topic: 3}\n"))
	if lines := strings.Split(err.Error(), "\n"); len(lines) != 3 {
		t.Errorf("%v", err)
	}
	if e, ok := errors.AsType[*config.Error](err); !ok || e.Line != 1 || e.Key != "lisen" {
		t.Errorf("%+v", e)
	}
}

// No secret is shown: not in an error, and not when the settings are printed.
func TestSecretsAreNotShown(t *testing.T) {
	c, err := config.Parse("x.yaml", []byte("callers: [{name: a, key: "+secret+"}]\naccounts: {keys: [{algorithm: HS256, secret: "+secret+"}]}"))
	if err != nil {
		t.Fatal(err)
	}
	if shown := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(shown, secret) {
		t.Error(shown)
	}
	for _, text := range []string{
		"callers: [{name: a, key: hunter2}]", "accounts: {keys: [{algorithm: HS256, secret: hunter2}]}", "accounts: {keys: [{algorithm: RS256, secret: hunter2}]}",
		"hooks: {connect: {url: 'https://x/', secrets: [hunter2]}}", "hooks: {connect: {url: 'https://a:hunter2@x/', secrets: [" + secret + "]}}", "callers: [{name: a, key: [hunter2]}]",
	} {
		if _, err := config.Parse("x.yaml", []byte(text)); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A flag wins over its variable, that over the file, and the file over the default.
func TestFlagsAndVariables(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chat.yaml")
	if err := os.WriteFile(path, []byte("listen: 127.0.0.1:1\nadmin: 127.0.0.1:2\ndata-dir: /file\nshutdown-timeout: 1s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CHAT_ADMIN", "127.0.0.1:3")
	t.Setenv("CHAT_DATA_DIR", "/variable")
	t.Setenv("CHAT_ROUTES", "127.0.0.1:4,b:2,c:3")
	t.Setenv("CHAT_CLUSTER", "127.0.0.1:4")
	cmd := &cobra.Command{Use: "chat"}
	flags := config.AddFlags(cmd.Flags())
	if err := cmd.ParseFlags([]string{"--config", path, "--data-dir=/flag"}); err != nil {
		t.Fatal(err)
	}
	if err := cli.ApplyEnvironment(cmd); err != nil {
		t.Fatal(err)
	}
	c, err := flags.Load()
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:1" || c.Admin != "127.0.0.1:3" || c.DataDir != "/flag" || c.ShutdownTimeout != time.Second || len(c.Routes) != 3 || c.Copies() != 3 {
		t.Errorf("%+v", c)
	}
}

// What is wrong in a flag is said when it is parsed, or by Load with its name.
func TestWrongFlags(t *testing.T) {
	set := pflag.NewFlagSet("chat", pflag.ContinueOnError)
	flags := config.AddFlags(set)
	if err := set.Parse([]string{"--shutdown-timeout=x"}); err == nil || !strings.Contains(err.Error(), "want a duration") {
		t.Error(err)
	}
	if err := set.Parse([]string{"--listen=0.0.0.0:80"}); err != nil {
		t.Fatal(err)
	}
	if _, err := flags.Load(); err == nil || !strings.Contains(err.Error(), "--listen: without accounts") {
		t.Error(err)
	}
	usage := set.FlagUsages()
	for _, want := range []string{"--config", "--listen", "(default 127.0.0.1:8000)", "--routes", "--nats", "--data-dir"} {
		if !strings.Contains(usage, want) {
			t.Errorf("%s is not in\n%s", want, usage)
		}
	}
}

// No text makes Parse panic.
func FuzzParse(f *testing.F) {
	f.Add(string(config.DefaultFile))
	f.Add("a: &a [*a]\n<<: *a\n? {}\n: []\n---\n...")
	f.Add("namespaces: {a: {who: {publish: [x]}}}\nhooks: {connect: }\nlimits: !!binary aGk=")
	f.Add("accounts: {keys: [{}, null, 3]}\ncallers: {}\n")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "file") {
			t.Skip("a file that is named would be opened")
		}
		_, _ = config.Parse("x", []byte(text))
	})
}

func Example() {
	_, err := config.Parse("chat.yaml", []byte("listen: 127.0.0.1:8000\nlimits:\n  mesage: 64KiB\n"))
	fmt.Println(err)
	// Output: chat.yaml:3: limits.mesage: unknown key; did you mean message?
}
