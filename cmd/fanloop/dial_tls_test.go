package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDialSpeaksTLSWithWhomItTrusts(t *testing.T) {
	server, other := newIdentity(t, t.TempDir()), newIdentity(t, t.TempDir())
	s := startEcho(t, "--tls-cert", server.certFile, "--tls-key", server.keyFile)
	elsewhere := strings.Replace(s.url("/"), "127.0.0.1", "localhost", 1)
	const untrusted = "its certificate is not trusted here: give its authority with --tls-ca, or trust anybody with --insecure"
	for _, k := range []struct{ url, flags, want string }{
		{s.url("/"), "--tls-ca " + server.certFile, ""},
		{s.url("/"), "--insecure", ""},
		{elsewhere, "--insecure", ""},
		{s.url("/"), "", untrusted},
		{s.url("/"), "--tls-ca " + other.certFile, untrusted},
		{elsewhere, "--tls-ca " + server.certFile, "its certificate is not to be trusted: x509: certificate is not valid for any names, but wanted to match localhost"},
	} {
		got := command(t, "hello\n", nil, append([]string{"dial", k.url, "--count", "1", "--quiet"}, strings.Fields(k.flags)...)...)
		want := result{exitOK, "hello\n", ""}
		if k.want != "" {
			want = result{exitFailed, "", "fanloop: " + k.url + ": " + k.want + "\n"}
		}
		if got != want {
			t.Errorf("%s %s: %+v, want %+v", k.url, k.flags, got, want)
		}
	}
}

func TestDialShowsItsCertificate(t *testing.T) {
	server, client := newIdentity(t, t.TempDir()), newIdentity(t, t.TempDir())
	s := startEcho(t, "--tls-cert", server.certFile, "--tls-key", server.keyFile, "--tls-client-ca", client.certFile)
	shown := []string{"dial", s.url("/"), "--count", "1", "--quiet", "--tls-ca", server.certFile}
	got := command(t, "hello\n", nil, append(shown, "--tls-cert", client.certFile, "--tls-key", client.keyFile)...)
	if want := (result{exitOK, "hello\n", ""}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	got = command(t, "hello\n", nil, shown...)
	if want := (result{exitFailed, "", "fanloop: " + s.url("/") + ": the server ended the TLS handshake: tls: certificate required\n"}); got != want {
		t.Errorf("without one: %+v, want %+v", got, want)
	}
}

func TestDialTellsSchemesThatDoNotFitTheServer(t *testing.T) {
	plain, secure := startEcho(t), startEcho(t, "--self-signed")
	for url, want := range map[string]string{
		"wss://" + plain.addr + "/": "what answers there does not speak TLS; is it a ws:// server?",
		"ws://" + secure.addr + "/": "the server hung up without an answer; is it a wss:// server, or one that expects a PROXY header?",
	} {
		got := command(t, "", nil, "dial", url, "--insecure")
		if want := (result{exitFailed, "", "fanloop: " + url + ": " + want + "\n"}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

func TestVerboseDialTellsWhatWasAgreed(t *testing.T) {
	s := startEcho(t, "--self-signed", "--compression", "on")
	made := strings.Fields(s.out.await(t, "SHA-256"))
	got := command(t, "hello\n", nil, "dial", s.url("/"), "--count", "1", "--insecure", "--compression", "on", "--verbose")
	for _, want := range []string{
		"connected to " + s.url("/") + ", permessage-deflate; server_no_context_takeover; client_no_context_takeover\n",
		"\n  address " + s.addr + "\n", "\n  TLS 1.3, TLS_", ", ALPN http/1.1\n",
		"\n  certificate for \"localhost, 127.0.0.1, ::1\" until ", ", not checked, SHA-256 " + made[len(made)-1] + "\n",
	} {
		if got.code != exitOK || !strings.Contains(got.err, want) {
			t.Errorf("%+v, want %q", got, want)
		}
	}
}

func TestFilesThatAreNoCertificateAreOneLine(t *testing.T) {
	dir := t.TempDir()
	id, other := newIdentity(t, dir), newIdentity(t, t.TempDir())
	missing, text := filepath.Join(dir, "missing"), filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("no PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	for flags, want := range map[string]string{
		"--tls-cert " + missing + " --tls-key " + id.keyFile:        "--tls-cert: cannot read " + missing + ": no such file or directory",
		"--tls-cert " + id.certFile + " --tls-key " + missing:       "--tls-key: cannot read " + missing + ": no such file or directory",
		"--tls-cert " + id.certFile + " --tls-key " + text:          "are no certificate and its key: tls: failed to find any PEM data in key input",
		"--tls-cert " + id.certFile + " --tls-key " + other.keyFile: "are no certificate and its key: tls: private key does not match public key",
		"--tls-CA " + missing: ": cannot read " + missing + ": no such file or directory",
		"--tls-CA " + text:    ": " + text + " holds no certificate in PEM",
	} {
		for args, authority := range map[string]string{"dial wss://127.0.0.1:1": "--tls-ca", "echo --addr 127.0.0.1:0": "--tls-client-ca --self-signed"} {
			flag, more, _ := strings.Cut(authority, " ")
			args += " " + strings.Replace(flags, "--tls-CA", more+" "+flag, 1)
			got := command(t, "", nil, strings.Fields(args)...)
			if got.code != exitFailed || got.out != "" || !strings.HasPrefix(got.err, "fanloop: --tls-") ||
				!strings.HasSuffix(got.err, want+"\n") || strings.Count(got.err, "\n") != 1 {
				t.Errorf("%s: %+v, want %q", args, got, want)
			}
		}
	}
}

func TestCompressionIsWhatBothSidesWant(t *testing.T) {
	const none = ""
	for _, k := range []struct{ server, client, want string }{
		{"", "--compression on", none},
		{"--compression on", "", none},
		{"--compression off", "--compression takeover", none},
		{"--compression on", "--compression on", ", permessage-deflate; server_no_context_takeover; client_no_context_takeover"},
		{"--compression On", "--compression ON", ", permessage-deflate; server_no_context_takeover; client_no_context_takeover"},
		{"--compression takeover", "--compression takeover", ", permessage-deflate"},
		{"--compression takeover --server-window-bits 9", "--compression takeover", ", permessage-deflate; server_max_window_bits=9"},
		{"--compression takeover", "--compression takeover --client-window-bits 10", ", permessage-deflate; client_max_window_bits=10"},
	} {
		s := startEcho(t, strings.Fields(k.server)...)
		line := strings.Repeat("compress me ", 100)
		got := command(t, line+"\n", nil, append([]string{"dial", s.url("/"), "--count", "1"}, strings.Fields(k.client)...)...)
		want := result{exitOK, line + "\n", "connected to " + s.url("/") + k.want + "\nclosed: 1000 normal closure\n"}
		if got != want {
			t.Errorf("%q with %q: %+v, want %+v", k.server, k.client, got, want)
		}
	}
}

func TestMaxMessageBoundsWhatInflates(t *testing.T) {
	line := strings.Repeat("x", 4<<20) // a thousandth of it, compressed
	for _, k := range []struct {
		limit string
		code  int
	}{{"4MiB", exitOK}, {"4095KiB", exitClosed}, {"0", exitClosed}} {
		s := startEcho(t, "--compression", "on", "--max-message", k.limit)
		got := command(t, line+"\n", nil, "dial", s.url("/"), "--compression", "on", "--count", "1")
		if got.code != k.code || (got.out == line+"\n") != (k.code == exitOK) ||
			strings.Contains(got.err, "closed: 1009") != (k.code == exitClosed) {
			t.Errorf("--max-message %s: exit code %d, %d bytes, stderr %s", k.limit, got.code, len(got.out), got.err)
		}
	}
}
