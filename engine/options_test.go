package engine_test

import (
	"errors"
	"io/fs"
	"net"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

// wantOption fails the test unless err names exactly these fields, each with its
// value and a remedy.
func wantOption(t *testing.T, err error, fields ...string) {
	t.Helper()
	var all []error
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	var got []string
	for _, e := range all {
		wrong, ok := errors.AsType[*engine.OptionError](e)
		if !ok {
			t.Errorf("%v is no *OptionError", e)
			continue
		}
		if wrong.Value == nil || wrong.Remedy == "" || !strings.HasPrefix(e.Error(), "engine: "+wrong.Field+" is ") {
			t.Errorf("%q does not say what is wrong and what to do", e)
		}
		got = append(got, wrong.Field)
	}
	if strings.Join(got, " ") != strings.Join(fields, " ") {
		t.Errorf("%v are refused, want %v: %v", got, fields, err)
	}
}

// served returns the error of a method that serves, which must not begin to.
func served(t *testing.T, serve func() error) error {
	t.Helper()
	result := make(chan error, 1)
	go func() { result <- serve() }()
	return within(t, "the refusal", result)
}

// F-a, T09: 0 is the default of every limit, NoLimit turns off those that can be
// off, and any other negative value is refused.
func TestNegativeLimitsAreRefusedByName(t *testing.T) {
	stayOn := map[string]bool{
		"MaxHead": true, "MaxHeaders": true, "HandshakeTimeout": true, "HighWater": true, "LowWater": true,
		"PongTimeout": true, "CloseTimeout": true,
	}
	for i, typ := 0, reflect.TypeFor[engine.Limits](); i < typ.NumField(); i++ {
		var l engine.Limits
		name, field := typ.Field(i).Name, reflect.ValueOf(&l).Elem().Field(i)
		field.SetInt(-2)
		wantOption(t, l.Validate(), "Limits."+name)
		field.SetInt(engine.NoLimit)
		if stayOn[name] {
			wantOption(t, l.Validate(), "Limits."+name)
		} else {
			wantOption(t, l.Validate())
		}
		field.SetInt(1)
		wantOption(t, l.Validate())
	}
	wantOption(t, engine.Limits{}.Validate())
}

func TestLimitsThatContradictEachOtherAreRefusedByName(t *testing.T) {
	for _, k := range []struct {
		limits engine.Limits
		fields string
	}{
		{engine.Limits{MaxQueued: 64 << 10}, ""}, // the marks follow
		{engine.Limits{MaxQueued: 1}, ""},
		{engine.Limits{MaxQueued: 64 << 10, HighWater: 64 << 10, LowWater: 64 << 10}, ""},
		{engine.Limits{MaxQueued: 64 << 10, LowWater: 256 << 10}, "Limits.LowWater"}, // F-a
		{engine.Limits{MaxQueued: 64 << 10, HighWater: 1 << 20}, "Limits.HighWater"},
		{engine.Limits{MaxQueued: engine.NoLimit, HighWater: 1 << 30}, ""},
		{engine.Limits{HighWater: 17 << 20}, "Limits.HighWater"}, // over the default
		{engine.Limits{LowWater: 2 << 20}, "Limits.LowWater"},
		{engine.Limits{HighWater: 1000, LowWater: 1001}, "Limits.LowWater"},
		{engine.Limits{MaxQueued: 10, HighWater: 20, LowWater: 30}, "Limits.HighWater Limits.LowWater"},
		{engine.Limits{MaxQueued: 2 << 20, MaxMemory: 1 << 20}, "Limits.MaxQueued"},
		{engine.Limits{MaxQueued: engine.NoLimit, MaxMemory: 1 << 20}, ""},
		{engine.Limits{PingInterval: engine.NoLimit, PongTimeout: time.Second}, "Limits.PongTimeout"},
		{engine.Limits{PingInterval: time.Second, PongTimeout: time.Minute}, ""},
		{engine.Limits{MaxHead: 1<<30 + 1}, "Limits.MaxHead"},
		{engine.Limits{MaxMessage: 100 << 20, MaxQueued: 1 << 20}, ""}, // to an empty queue all is taken
		{engine.Limits{HandshakeTimeout: -1, CloseTimeout: -1, MaxHead: -1}, "Limits.MaxHead Limits.HandshakeTimeout Limits.CloseTimeout"},
	} {
		wantOption(t, k.limits.Validate(), strings.Fields(k.fields)...)
	}
}

func TestServerRefusesOptionsThatCannotBeMeant(t *testing.T) {
	for want, srv := range map[string]*engine.Server{
		"Limits.CloseTimeout":             {Limits: engine.Limits{CloseTimeout: -1}},
		"Slow.Policy":                     {Slow: engine.Slow{Policy: engine.SlowUnsubscribe + 1}},
		"Slow.Limit":                      {Slow: engine.Slow{Limit: -2}},
		"Slow.Timeout":                    {Slow: engine.Slow{Timeout: -2}},
		"Compression.ServerMaxWindowBits": {Compression: &engine.Compression{ServerMaxWindowBits: 7}},
		"Compression.ClientMaxWindowBits": {Compression: &engine.Compression{ClientMaxWindowBits: 16}},
		"Compression.Threshold":           {Compression: &engine.Compression{Threshold: -1}},
		"Compression.Memory":              {Compression: &engine.Compression{Memory: -2}},
		"Compression.MaxRatio":            {Compression: &engine.Compression{MaxRatio: -2}},
		"Dispatch.Workers":                {Dispatch: &engine.Dispatch{Workers: -1}},
		"Dispatch.MaxWaiting":             {Dispatch: &engine.Dispatch{MaxWaiting: -1}},
		"Server.Loops":                    {Loops: -1},
		"Server.MaxHandshakes":            {MaxHandshakes: -1},
		"Server.UpgradeWorkers":           {UpgradeWorkers: -1},
	} {
		_, err := srv.Listen("127.0.0.1:0")
		wantOption(t, err, want)
		nl, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		wantOption(t, served(t, func() error { return srv.Serve(nl) }), want)
		within(t, "the end of a server that did not start", srv.Done())
		if err := srv.Close(); err != nil {
			t.Error("Close:", err)
		}
	}
	srv := &engine.Server{Slow: engine.Slow{Timeout: time.Minute}, Limits: engine.Limits{WriteTimeout: time.Second}, Loops: -3}
	wantOption(t, served(t, srv.ListenAndServe), "Slow.Timeout", "Server.Loops")
}

func TestSetSlowRefusesWhatCannotBeMeant(t *testing.T) {
	opened := make(chan *engine.WebSocket, 1)
	srv := &engine.Server{OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws }}
	openRaw(t, listen(t, srv))
	wrong := engine.Slow{Limit: -2}
	wantOption(t, srv.Topic("room").SetSlow(wrong), "Slow.Limit")
	wantOption(t, within(t, "OnUpgrade", opened).SetSlow(wrong), "Slow.Limit")
}

func TestListenRefusesAModeForNoFile(t *testing.T) {
	path := "unix:" + filepath.Join(t.TempDir(), "socket")
	addrs := []string{"127.0.0.1:0", path}
	if runtime.GOOS == "linux" {
		addrs = append(addrs, "unix:@fanloop-options-test")
	}
	srv := new(engine.Server)
	for _, addr := range addrs {
		mode := engine.ListenOptions{SocketMode: 0o660}
		if addr == path {
			mode.SocketMode |= fs.ModeSticky
		}
		_, err := srv.ListenWith(addr, mode)
		wantOption(t, err, "ListenOptions.SocketMode")
	}
	nl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	wantOption(t, served(t, func() error { return srv.ServeWith(nl, engine.ListenOptions{SocketMode: 0o660}) }), "ListenOptions.SocketMode")
	if _, err := nl.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is not closed: %v", err)
	}
}

func TestDialRefusesOptionsThatCannotBeMeant(t *testing.T) {
	for want, opt := range map[string]*engine.DialOptions{
		"Limits.HandshakeTimeout":  {Limits: engine.Limits{HandshakeTimeout: -1}},
		"Limits.LowWater":          {Limits: engine.Limits{LowWater: 1 << 30}},
		"Compression.Threshold":    {Compression: &engine.Compression{Threshold: -1}},
		"DialOptions.MaxRedirects": {MaxRedirects: -1},
	} {
		_, err := engine.Dial(t.Context(), "ws://a.test/", opt)
		wantOption(t, err, want)
		_, err = engine.DialReconnecting(t.Context(), "ws://a.test/", opt, engine.ReconnectPolicy{})
		wantOption(t, err, want)
	}
}

func TestReconnectRefusesWaitsThatCannotBeMeant(t *testing.T) {
	for want, policy := range map[string]engine.ReconnectPolicy{
		"ReconnectPolicy.BaseDelay":   {BaseDelay: -1},
		"ReconnectPolicy.MaxDelay":    {MaxDelay: -1},
		"ReconnectPolicy.StableAfter": {StableAfter: -1},
		"ReconnectPolicy.MaxAttempts": {MaxAttempts: -2},
		"ReconnectPolicy.MaxElapsed":  {MaxElapsed: -2},
	} {
		_, err := engine.DialReconnecting(t.Context(), "ws://a.test/", nil, policy)
		wantOption(t, err, want)
	}
	_, err := engine.DialReconnecting(t.Context(), "ws://a.test/", nil, engine.ReconnectPolicy{BaseDelay: time.Hour, MaxDelay: time.Minute})
	wantOption(t, err, "ReconnectPolicy.BaseDelay")
}

// Whoever adds a number or a duration to the options adds its check: -2 has a
// meaning nowhere.
func TestEveryNumberOfTheOptionsIsChecked(t *testing.T) {
	checked := 0
	walk := func(name string, options reflect.Value, try func() error) {
		eachNumber(name, options, func(field string, n reflect.Value) {
			n.SetInt(-2)
			wantOption(t, try(), field)
			n.SetInt(0)
			checked++
		})
	}
	newServer := func() *engine.Server {
		return &engine.Server{Compression: new(engine.Compression), Dispatch: new(engine.Dispatch)}
	}
	numbers := 0
	eachNumber("Server", reflect.ValueOf(newServer()).Elem(), func(string, reflect.Value) { numbers++ })
	for i := range numbers { // a server that did not start never will
		srv, at := newServer(), 0
		eachNumber("Server", reflect.ValueOf(srv).Elem(), func(field string, n reflect.Value) {
			if at++; at == i+1 {
				n.SetInt(-2)
				wantOption(t, served(t, srv.ListenAndServe), field)
				checked++
			}
		})
	}
	opt := &engine.DialOptions{Compression: new(engine.Compression)}
	walk("DialOptions", reflect.ValueOf(opt).Elem(), func() error {
		_, err := engine.Dial(t.Context(), "ws://a.test/", opt)
		return err
	})
	policy := new(engine.ReconnectPolicy)
	walk("ReconnectPolicy", reflect.ValueOf(policy).Elem(), func() error {
		_, err := engine.DialReconnecting(t.Context(), "ws://a.test/", nil, *policy)
		return err
	})
	if checked < 50 {
		t.Errorf("only %d numbers were found", checked)
	}
}

// eachNumber calls fn for the signed numbers of options and of the structs in it,
// which name themselves.
func eachNumber(name string, options reflect.Value, fn func(field string, n reflect.Value)) {
	for i := range options.NumField() {
		f, v := options.Type().Field(i), reflect.Indirect(options.Field(i))
		switch {
		case !f.IsExported() || !v.IsValid():
		case v.CanInt():
			fn(name+"."+f.Name, v)
		case v.Kind() == reflect.Struct && v.Type().PkgPath() == reflect.TypeFor[engine.Limits]().PkgPath():
			eachNumber(f.Name, v, fn)
		}
	}
}
