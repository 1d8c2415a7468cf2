package pull

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/fanloop-go/fanloop/engine"
)

// Codec is an encoding of messages.
type Codec interface {
	Marshal(v any) ([]byte, error)
	Unmarshal(data []byte, v any) error
}

// JSON is the Codec of encoding/json.
var JSON Codec = jsonCodec{}

type jsonCodec struct{}

func (jsonCodec) Marshal(v any) ([]byte, error)      { return json.Marshal(v) }
func (jsonCodec) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

// ReadJSON reads the next message of c and decodes it as JSON, as ReadAs does.
func ReadJSON[T any](ctx context.Context, c *Conn) (T, error) { return ReadAs[T](ctx, c, JSON) }

// WriteJSON writes v to c as a text message of JSON.
func WriteJSON(ctx context.Context, c *Conn, v any) error {
	return WriteAs(ctx, c, engine.Text, JSON, v)
}

// ReadAs reads the next message of c, text or binary, and decodes it. If that fails,
// the message is read all the same and the connection stays open; the error is a
// *DecodeError.
func ReadAs[T any](ctx context.Context, c *Conn, codec Codec) (T, error) {
	var v T
	_, data, err := c.Read(ctx)
	if err != nil {
		return v, err
	}
	if err := codec.Unmarshal(data, &v); err != nil {
		return v, &DecodeError{Data: data, Err: err}
	}
	return v, nil
}

// WriteAs encodes v and writes it to c as a message of kind op.
func WriteAs(ctx context.Context, c *Conn, op engine.OpCode, codec Codec, v any) error {
	data, err := codec.Marshal(v)
	if err != nil {
		return fmt.Errorf("pull: encode %T: %w", v, err)
	}
	return c.Write(ctx, op, data)
}

// DecodeError is a message that could not be decoded.
type DecodeError struct {
	Data []byte // the message
	Err  error  // of the Codec
}

func (e *DecodeError) Error() string { return "pull: decode a message: " + e.Err.Error() }

// Unwrap returns the error of the Codec.
func (e *DecodeError) Unwrap() error { return e.Err }
