package api

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
)

//go:embed openapi.yaml
var openAPI []byte

// OpenAPI is the description of the server API.
func OpenAPI() []byte { return bytes.Clone(openAPI) }

// maxAnswer is the size of an answer at most, in bytes.
const maxAnswer = 16 << 20

// Client calls the server API of a node. Its methods may be called by any goroutine. They
// return a [*Problem], wrapped, if the node refused or could not do it.
//
// Calls that change something take an idempotency key: a call that is repeated with the
// same key and the same arguments is carried out once. An empty key is none.
type Client struct {
	// URL is the admin address, like http://127.0.0.1:8001.
	URL string
	// Key is the caller's. A caller who is known by a certificate has none, and HTTP
	// shows the certificate.
	Key string
	// HTTP makes requests; nil: http.DefaultClient.
	HTTP *http.Client
}

// Publish stores a message in a topic.
func (c *Client) Publish(ctx context.Context, key string, q Publish) (Published, error) {
	return post[Published](ctx, c, "/v1/publish", key, q)
}

// Broadcast stores a message in each of many topics. Look at the result of each.
func (c *Client) Broadcast(ctx context.Context, key string, q Broadcast) (Results, error) {
	return post[Results](ctx, c, "/v1/broadcast", key, q)
}

// History reads a page.
func (c *Client) History(ctx context.Context, q History) (Page, error) {
	return post[Page](ctx, c, "/v1/history", "", q)
}

// Presence reads a page of the users of a topic.
func (c *Client) Presence(ctx context.Context, q Presence) (Members, error) {
	return post[Members](ctx, c, "/v1/presence", "", q)
}

// TopicInfo returns the state of a topic.
func (c *Client) TopicInfo(ctx context.Context, topic string) (TopicInfo, error) {
	return post[TopicInfo](ctx, c, "/v1/topic", "", Topic{topic})
}

// UserInfo returns where a user is connected.
func (c *Client) UserInfo(ctx context.Context, user string) (UserInfo, error) {
	return post[UserInfo](ctx, c, "/v1/user", "", User{user})
}

// Unsubscribe ends the subscriptions of a user to a topic, on all nodes. When it returns
// nil, the user gets nothing of them any more.
func (c *Client) Unsubscribe(ctx context.Context, key string, q Unsubscribe) (Ended, error) {
	return post[Ended](ctx, c, "/v1/unsubscribe", key, q)
}

// Disconnect closes the connections of a user to all nodes. To keep the user away, revoke
// the tokens too.
func (c *Client) Disconnect(ctx context.Context, key, user string) (Ended, error) {
	return post[Ended](ctx, c, "/v1/disconnect", key, Disconnect{user})
}

// Revoke ends tokens, and the connections that were made with them, on all nodes.
func (c *Client) Revoke(ctx context.Context, key string, q Revoke) error {
	_, err := post[Revoked](ctx, c, "/v1/revoke", key, q)
	return err
}

// post makes a call.
func post[A any](ctx context.Context, c *Client, path, key string, asked any) (answer A, err error) {
	body, err := json.Marshal(asked)
	if err != nil {
		return answer, fmt.Errorf("api: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(c.URL, "/")+path, bytes.NewReader(body))
	if err != nil {
		return answer, fmt.Errorf("api: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	if c.Key != "" {
		r.Header.Set("Authorization", "Bearer "+c.Key)
	}
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	response, err := client.Do(r)
	if err != nil {
		return answer, fmt.Errorf("api: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return answer, fmt.Errorf("api: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		problem := &Problem{Status: response.StatusCode}
		if json.Unmarshal(text, problem) != nil {
			problem.Detail = "the answer is no problem of this API"
		}
		return answer, problem
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return answer, fmt.Errorf("api: %w", err)
	}
	return answer, nil
}
