package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/pull"
)

type request struct {
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	ID     json.RawMessage `json:"id"` // none: a notification, which gets no response
}

type response struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  any             `json:"result,omitempty"`
	Error   *failure        `json:"error,omitempty"`
}

// failure is an error of JSON-RPC.
type failure struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (f *failure) Error() string { return f.Message }

var (
	errParse  = &failure{-32700, "parse error"}
	errMethod = &failure{-32601, "method not found"}
	errParams = &failure{-32602, "invalid params"}
)

// methods are what /rpc can do, by name.
type methods map[string]func(ctx context.Context, params json.RawMessage) (result any, err error)

// newMethods makes the methods "backends", which lists all, and "check", which connects
// to the one that params name.
func newMethods(all backends) methods {
	type status struct {
		Name string `json:"name"`
		Open int32  `json:"open"`
	}
	return methods{
		"backends": func(context.Context, json.RawMessage) (any, error) {
			list := []status{}
			for name, b := range all {
				list = append(list, status{name, b.open.Load()})
			}
			slices.SortFunc(list, func(x, y status) int { return cmp.Compare(x.Name, y.Name) })
			return list, nil
		},
		"check": func(ctx context.Context, params json.RawMessage) (any, error) {
			var names [1]string
			if json.Unmarshal(params, &names) != nil || all[names[0]] == nil {
				return nil, errParams
			}
			tcp, err := all[names[0]].dial(ctx)
			if err != nil {
				return nil, err
			}
			return "reachable", tcp.Close()
		},
	}
}

// serve answers the requests of one client, one after the other.
func (m methods) serve(ctx context.Context, c *pull.Conn, _ *engine.Request) error {
	for {
		req, err := pull.ReadJSON[request](ctx, c)
		r := response{Version: "2.0", ID: req.ID}
		var malformed *pull.DecodeError
		switch {
		case errors.As(err, &malformed):
			r.Error = errParse
		case err != nil:
			return err
		default:
			r.Result, r.Error = m.call(ctx, &req)
		}
		if req.ID == nil && r.Error != errParse {
			continue
		}
		if err := pull.WriteJSON(ctx, c, r); err != nil {
			return err
		}
	}
}

func (m methods) call(ctx context.Context, req *request) (any, *failure) {
	method := m[req.Method]
	if method == nil {
		return nil, errMethod
	}
	result, err := method(ctx, req.Params)
	if f := (*failure)(nil); errors.As(err, &f) {
		return nil, f
	} else if err != nil {
		return nil, &failure{-32000, err.Error()}
	}
	return result, nil
}
