package engine_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// toldByProxy is a server that answers every WebSocket with its addresses, and
// every other request with those of the request.
func toldByProxy() *engine.Server {
	return &engine.Server{
		ShouldUpgrade: func(req *engine.Request) (http.Header, error) {
			return http.Header{"X-Peer": {req.RemoteAddr()}}, nil
		},
		OnUpgrade: func(ws *engine.WebSocket, req *engine.Request) {
			_ = ws.SendText(fmt.Sprint(ws.RemoteAddr(), " to ", ws.LocalAddr(), " ", req.RemoteAddr()))
		},
		Callbacks: echo,
		HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.RemoteAddr, " to ", r.Context().Value(http.LocalAddrContextKey), " TLS ", r.TLS != nil)
		}),
	}
}

var (
	localhost = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	fromProxy = engine.ListenOptions{ProxyProtocol: &engine.ProxyProtocol{Trusted: localhost}}
)

// headerV2 is a PROXY header of version 2.
func headerV2(t *testing.T, from, to net.Addr, tlvs ...proxyproto.TLV) string {
	t.Helper()
	h := proxyproto.HeaderProxyFromAddrs(2, from, to)
	if err := h.SetTLVs(tlvs); err != nil {
		t.Fatal(err)
	}
	b, err := h.Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var (
	clientV4 = &net.TCPAddr{IP: net.IPv4(203, 0, 113, 7).To4(), Port: 51000}
	frontV4  = &net.TCPAddr{IP: net.IPv4(198, 51, 100, 1).To4(), Port: 443}
	clientV6 = &net.TCPAddr{IP: net.ParseIP("2001:db8::7"), Port: 51000}
	frontV6  = &net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 443}
)

const (
	v1Header = "PROXY TCP4 203.0.113.7 198.51.100.1 51000 443\r\n"
	toldV4   = "203.0.113.7:51000 to 198.51.100.1:443 203.0.113.7:51000"
	toldV6   = "[2001:db8::7]:51000 to [2001:db8::1]:443 [2001:db8::7]:51000"
)

// H09
func TestProxyHeaderTellsTheAddressHoweverItIsCut(t *testing.T) {
	large := proxyproto.TLV{Type: proxyproto.PP2Type(0xE0), Value: pattern(3000)}
	cases := map[string]struct{ header, told string }{
		"version 1, IPv4":            {v1Header, toldV4},
		"version 1, IPv6":            {"PROXY TCP6 2001:db8::7 2001:db8::1 51000 443\r\n", toldV6},
		"version 2, IPv4":            {headerV2(t, clientV4, frontV4), toldV4},
		"version 2, IPv6":            {headerV2(t, clientV6, frontV6), toldV6},
		"version 2 with more values": {headerV2(t, clientV4, frontV4, large), toldV4},
	}
	addr := listenWith(t, toldByProxy(), "127.0.0.1:0", fromProxy)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			all := c.header + testkit.UpgradeHead(addr) + testkit.Masked(engine.Text, "first")
			for cut := 0; cut <= len(all); cut += 1 + cut/200*50 {
				client := dialRaw(t, addr)
				client.send(all[:cut])
				client.send(all[cut:])
				client.wantUpgraded()
				client.wantMessage(engine.Text, c.told)
				client.wantMessage(engine.Text, "first")
				_ = client.Close()
			}
			client := dialRaw(t, addr)
			for _, octet := range octets(c.header + testkit.UpgradeHead(addr)) {
				client.send(octet)
			}
			client.wantUpgraded()
			client.wantMessage(engine.Text, c.told)
		})
	}
}

func TestHeaderOfTheProxyItselfKeepsItsAddress(t *testing.T) {
	addr := listenWith(t, toldByProxy(), "127.0.0.1:0", fromProxy)
	local := proxyproto.HeaderProxyFromAddrs(2, nil, nil)
	b, err := local.Format()
	if err != nil {
		t.Fatal(err)
	}
	asProxy := []byte(headerV2(t, clientV4, frontV4))
	asProxy[12] = byte(proxyproto.LOCAL)
	for name, header := range map[string]string{
		"LOCAL": string(b), "LOCAL with addresses": string(asProxy), "UNKNOWN": "PROXY UNKNOWN\r\n",
		"UNKNOWN with addresses": "PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n",
	} {
		c := dialRaw(t, addr)
		c.send(header + testkit.UpgradeHead(addr))
		c.wantUpgraded()
		want := fmt.Sprint(c.LocalAddr(), " to ", addr, " ", c.LocalAddr())
		if _, got, err := c.readFrame(); err != nil || string(got) != want {
			t.Errorf("%s: told %q (%v), want %q", name, got, err, want)
		}
	}
}

// A header from somebody else would let him choose his address.
func TestHeaderOfAPeerThatIsNotTrustedIsABadRequest(t *testing.T) {
	others := &engine.ProxyProtocol{Trusted: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, TrustUnix: true}
	for name, opt := range map[string]engine.ListenOptions{
		"others are trusted": {ProxyProtocol: others}, "nobody is": {ProxyProtocol: new(engine.ProxyProtocol)}, "no option": {},
	} {
		addr := listenWith(t, toldByProxy(), "127.0.0.1:0", opt)
		for _, header := range []string{v1Header, headerV2(t, clientV4, frontV4)} {
			c := dialRaw(t, addr)
			c.send(header + testkit.UpgradeHead(addr))
			resp, _ := c.readResponse()
			if resp.StatusCode != http.StatusBadRequest {
				t.Errorf("%s: status %d, want 400", name, resp.StatusCode)
			}
		}
		c := openRaw(t, addr)
		c.wantMessage(engine.Text, fmt.Sprint(c.LocalAddr(), " to ", addr, " ", c.LocalAddr()))
	}
}

func TestBrokenProxyHeaderDropsTheConnection(t *testing.T) {
	v2 := headerV2(t, clientV4, frontV4)
	long := headerV2(t, clientV4, frontV4, proxyproto.TLV{Type: 0xE0, Value: pattern(5000)})
	cases := map[string]string{
		"missing":                     testkit.UpgradeHead("a"),
		"version 1 without an end":    "PROXY TCP4 " + strings.Repeat("1", 200),
		"version 1 with a bare LF":    strings.Replace(v1Header, "\r\n", "\n", 1) + testkit.UpgradeHead("a"),
		"version 1 with a bad port":   strings.Replace(v1Header, "51000", "70000", 1) + testkit.UpgradeHead("a"),
		"version 1 with a bad family": strings.Replace(v1Header, "TCP4", "TCP6", 1) + testkit.UpgradeHead("a"),
		"version 1 of another word":   "PROXYJUNK" + v1Header[5:] + testkit.UpgradeHead("a"),
		"version 2 with a bad end":    v2[:11] + "X" + v2[12:] + testkit.UpgradeHead("a"),
		"version 3":                   v2[:12] + "\x31" + v2[13:] + testkit.UpgradeHead("a"),
		"version 2 cut short":         v2[:15] + "\x04" + v2[16:] + testkit.UpgradeHead("a"),
		"version 2 over 4 KiB":        long + testkit.UpgradeHead("a"),
		"version 2 that claims it":    v2[:14] + "\xff\xff",
	}
	logger, book := newLog()
	srv := toldByProxy()
	srv.Logger = logger
	srv.Limits.HandshakeTimeout = time.Hour // none of them waits for that
	srv.OnUpgrade = func(*engine.WebSocket, *engine.Request) { t.Error("a broken header was taken") }
	addr := listenWith(t, srv, "127.0.0.1:0", fromProxy)
	start := time.Now()
	for name, octets := range cases {
		t.Run(name, func(t *testing.T) {
			c := dialRaw(t, addr)
			c.send(octets)
			if rest, err := c.br.Peek(1); len(rest) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %q, %v; want only the end", rest, err)
			}
		})
	}
	eventually(t, "the connections are counted out", func() bool { return srv.Conns() == 0 })
	seconds := time.Since(start)/time.Second + 2 // begun ones, and a loop that looked at its clock before
	if n := book.count("PROXY header"); n == 0 || n > int(seconds) {
		t.Errorf("%d lines are logged for %d broken headers in %d seconds, want one a second at most", n, len(cases), seconds)
	}
}

// What a load balancer does to see whether the server lives.
func TestProxyThatOnlyConnectsIsNotLogged(t *testing.T) {
	logger, book := newLog()
	srv := toldByProxy()
	srv.Logger = logger
	addr := listenWith(t, srv, "127.0.0.1:0", fromProxy)
	c := dialRaw(t, addr)
	_ = c.Close()
	openProxied(t, addr)
	eventually(t, "the first connection is gone", func() bool { return srv.Conns() == 1 })
	if n := book.count("") - book.count(loopIsHeldUp); n > 0 {
		t.Errorf("%d lines are logged", n)
	}
}

// openProxied opens a WebSocket through a proxy.
func openProxied(t *testing.T, addr string) *rawClient {
	t.Helper()
	c := dialRaw(t, addr)
	c.send(v1Header + testkit.UpgradeHead(addr))
	c.wantUpgraded()
	c.wantMessage(engine.Text, toldV4)
	return c
}

func TestProxyOverAUnixSocketHasToBeTrusted(t *testing.T) {
	for _, trust := range []bool{true, false} {
		path := socketPath(t)
		listenWith(t, toldByProxy(), "unix:"+path, engine.ListenOptions{ProxyProtocol: &engine.ProxyProtocol{TrustUnix: trust}})
		c := dialUnix(t, path)
		c.send(v1Header + testkit.UpgradeHead("local"))
		if !trust {
			if resp, _ := c.readResponse(); resp.StatusCode != http.StatusBadRequest {
				t.Errorf("status %d, want 400", resp.StatusCode)
			}
			continue
		}
		c.wantUpgraded()
		c.wantMessage(engine.Text, toldV4)
	}
}

func TestTrustedNetworkMayBeWrittenAsIPv6(t *testing.T) {
	for _, network := range []string{"::ffff:127.0.0.0/104", "::ffff:127.0.0.1/128", "::ffff:0:0/96"} {
		trusted := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix(network)}
		addr := listenWith(t, toldByProxy(), "127.0.0.1:0", engine.ListenOptions{ProxyProtocol: &engine.ProxyProtocol{Trusted: trusted}})
		openProxied(t, addr)
		if trusted[1] != netip.MustParsePrefix(network) {
			t.Errorf("the caller's network became %v", trusted[1])
		}
	}
	addr := listenWith(t, toldByProxy(), "127.0.0.1:0", engine.ListenOptions{ProxyProtocol: &engine.ProxyProtocol{
		Trusted: []netip.Prefix{netip.MustParsePrefix("::ffff:127.0.0.2/127")},
	}})
	c := dialRaw(t, addr)
	c.send(v1Header + testkit.UpgradeHead(addr))
	if resp, _ := c.readResponse(); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("status %d for a neighbour of those trusted, want 400", resp.StatusCode)
	}
}

func TestTrustedNetworkThatMatchesNothingIsAnErrorAtOnce(t *testing.T) {
	for _, network := range []netip.Prefix{{}, netip.PrefixFrom(netip.MustParseAddr("10.0.0.0"), 33), netip.MustParsePrefix("::ffff:10.0.0.0/95")} {
		srv := new(engine.Server)
		t.Cleanup(func() { _ = srv.Close() })
		_, err := srv.ListenWith("127.0.0.1:0", engine.ListenOptions{ProxyProtocol: &engine.ProxyProtocol{Trusted: []netip.Prefix{network}}})
		if err == nil || !strings.Contains(err.Error(), "Trusted[0]") {
			t.Errorf("%v: %v, want an error that names it", network, err)
		}
	}
}

func TestAddressOfTheProxyHeaderReachesHTTPAndComesBack(t *testing.T) {
	addr := listenWith(t, toldByProxy(), "127.0.0.1:0", fromProxy)
	c := dialRaw(t, addr)
	c.send(v1Header + "GET /page HTTP/1.1\r\nHost: a\r\n\r\n" + testkit.UpgradeHead(addr))
	if _, body := c.readResponse(); body != "203.0.113.7:51000 to 198.51.100.1:443 TLS false" {
		t.Errorf("net/http says %q", body)
	}
	if got := c.wantUpgraded().Header.Get("X-Peer"); got != clientV4.String() {
		t.Errorf("ShouldUpgrade saw %q", got)
	}
	c.wantMessage(engine.Text, toldV4)
	c.exchange("still here")
}

// The header comes before TLS.
func TestProxyHeaderBeforeTLS(t *testing.T) {
	id := testkit.NewIdentity(t, "server")
	opt := fromProxy
	opt.TLS = id.Server()
	addr := listenWith(t, toldByProxy(), "127.0.0.1:0", opt)
	for name, header := range map[string]string{"version 1": v1Header, "version 2": headerV2(t, clientV4, frontV4)} {
		t.Run(name, func(t *testing.T) {
			for cut := range header {
				c := dialRaw(t, addr)
				c.send(header[:cut])
				c.send(header[cut:])
				c = c.secured(id.Client())
				c.send("GET /page HTTP/1.1\r\nHost: a\r\n\r\n" + testkit.UpgradeHead(addr) + testkit.Masked(engine.Text, "first"))
				if _, body := c.readResponse(); body != "203.0.113.7:51000 to 198.51.100.1:443 TLS true" {
					t.Fatalf("net/http says %q", body)
				}
				c.wantUpgraded()
				c.wantMessage(engine.Text, toldV4)
				c.wantMessage(engine.Text, "first")
				_ = c.Close()
			}
		})
	}
}
