package loop

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"testing"
)

// recordWriter makes records of TLS 1.2 with AES-128-GCM as a client would, also
// such as crypto/tls never sends.
type recordWriter struct {
	aead  cipher.AEAD
	salt  []byte
	seq   uint64
	ready []byte // records made
}

// newRecordWriter derives the keys (RFC 5246 section 6.3) from a line of
// KeyLogWriter and the randoms of the hellos, as they stand in sent and received.
func newRecordWriter(t *testing.T, keyLog string, sent, received []byte) *recordWriter {
	t.Helper()
	var label, random, master string
	if _, err := fmt.Sscan(keyLog, &label, &random, &master); err != nil || label != "CLIENT_RANDOM" {
		t.Fatalf("the key log says %q: %v", keyLog, err)
	}
	secret, err := hex.DecodeString(master)
	if err != nil {
		t.Fatal(err)
	}
	const randomAt = recordHeader + 4 + 2 // behind the headers of record and message, and the version
	seed := append([]byte("key expansion"), received[randomAt:randomAt+32]...)
	seed = append(seed, sent[randomAt:randomAt+32]...)
	mac := func(data ...[]byte) []byte {
		h := hmac.New(sha256.New, secret)
		for _, d := range data {
			h.Write(d)
		}
		return h.Sum(nil)
	}
	var keys []byte
	for a := mac(seed); len(keys) < 40; a = mac(a) {
		keys = append(keys, mac(a, seed)...)
	}
	block, err := aes.NewCipher(keys[:16])
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return &recordWriter{aead: aead, salt: keys[32:36], seq: 1} // 0 was Finished
}

// add makes one record more (RFC 5288 section 3).
func (w *recordWriter) add(kind byte, plaintext []byte) {
	seq := binary.BigEndian.AppendUint64(nil, w.seq)
	w.seq++
	head := []byte{kind, 3, 3}
	additional := binary.BigEndian.AppendUint16(append(seq[:8:8], head...), uint16(len(plaintext)))
	body := w.aead.Seal(seq[:8:8], append(bytes.Clone(w.salt), seq...), plaintext, additional)
	w.ready = append(binary.BigEndian.AppendUint16(append(w.ready, head...), uint16(len(body))), body...)
}

// wiretap notes both directions.
type wiretap struct {
	tap
	sent []byte
}

func (w *wiretap) Write(p []byte) (int, error) {
	w.sent = append(w.sent, p...)
	return w.Conn.Write(p)
}

// Behind application data a tls.Conn looks for an alert, and behind a warning for
// more data. What it decrypts then has to be delivered, and must not lie where
// the bytes of other connections come to lie.
func TestDataBehindAWarningIsDeliveredAndNobodyElsesIs(t *testing.T) {
	for _, lent := range []bool{true, false} {
		old := lending.Swap(lent)
		server, client := tlsConfigs(tls.VersionTLS12)
		server.CipherSuites = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
		var keyLog bytes.Buffer
		attack := client.Clone()
		attack.KeyLogWriter = &keyLog
		g := start(t, Config{Loops: 1})
		a := newEcho()
		handshakeOver := secure(a, asServer(server))
		wire := &wiretap{tap: tap{Conn: serveOne(t, g, nil, a)}}
		peer := tls.Client(wire, attack)
		if err := peer.Handshake(); err != nil {
			t.Fatal(err)
		}
		receive(t, handshakeOver)
		w := newRecordWriter(t, keyLog.String(), wire.sent, wire.seen)
		victim := serveTLS(t, g, nil, newEcho(), server, client)

		first, second := []byte("A"), bytes.Repeat([]byte("a"), 4096)
		for range 3 {
			w.ready = nil
			w.add(23, first)
			w.add(21, []byte{1, 90}) // a warning: user_canceled
			w.add(23, second)
			if _, err := wire.Conn.Write(w.ready); err != nil {
				t.Fatal(err)
			}
			roundTrip(t, victim, string(bytes.Repeat([]byte("SECRET "), 2000)))
			got := make([]byte, len(first)+len(second))
			if _, err := io.ReadFull(peer, got); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, append(bytes.Clone(first), second...)) {
				t.Errorf("lending %t: %.80q came back", lent, got)
			}
		}
		_ = peer.Close()
		_ = victim.Close()
		lending.Store(old)
	}
}
