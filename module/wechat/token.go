package wechat

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	// earlyRefresh is how long before its end a token is renewed. WeChat keeps
	// old and new valid side by side for these last five minutes.
	earlyRefresh = 5 * time.Minute
	// shortRefresh is the least time between two refreshes, for a token that
	// arrives with little life left.
	shortRefresh = 30 * time.Second
	// maxLife bounds what is believed of expires_in; WeChat's tokens live two
	// hours.
	maxLife = 24 * time.Hour
)

// tokenCache holds the access token in use.
type tokenCache struct {
	mu      sync.Mutex
	value   string
	expires time.Time // no use from here on
	renew   time.Time // to be renewed from here on
}

// get returns the token, empty if there is none that works, and whether it is time
// to renew it.
func (t *tokenCache) get(now time.Time) (value string, due bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.value == "" || !now.Before(t.expires) {
		return "", true
	}
	return t.value, !now.Before(t.renew)
}

func (t *tokenCache) set(value string, now time.Time, life time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.value, t.expires = value, now.Add(life)
	t.renew = now.Add(max(life-earlyRefresh, min(shortRefresh, life/2)))
}

// postpone keeps a failed early refresh from being tried at each call.
func (t *tokenCache) postpone(until time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.renew.Before(until) {
		t.renew = until
	}
}

// drop forgets the token if it is still the one that WeChat refused.
func (t *tokenCache) drop(value string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.value == value {
		t.value = ""
	}
}

// Token returns an access token that works by the client's knowledge. It is taken
// from stable_token in normal mode, which does not retire a token that other
// processes use. However many callers need one, there is one request; a caller
// whose context ends leaves it to the others. In a token's last five minutes it is
// renewed in the background, while the old one is still given out.
func (c *Client) Token(ctx context.Context) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("waiting for access token: %w", err)
	}
	value, due := c.token.get(c.now())
	if value != "" && !due {
		return value, nil
	}
	result := c.flight.DoChan("", c.refresh)
	if value != "" {
		return value, nil
	}
	select {
	case r := <-result:
		if r.Err != nil {
			return "", r.Err
		}
		value, _ = r.Val.(string)
		return value, nil
	case <-ctx.Done():
		return "", fmt.Errorf("waiting for access token: %w", ctx.Err())
	}
}

// refresh runs in a goroutine of the single flight, bounded by the client's
// timeout and by Close.
func (c *Client) refresh() (value any, err error) {
	if !c.begin() {
		return "", errors.New("refreshing access token: the client is closed")
	}
	defer c.work.Done()
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("refreshing access token: panic")
		}
		if err != nil {
			c.token.postpone(c.now().Add(shortRefresh))
		}
	}()
	// A caller may come just after the flight that it would have joined.
	if value, due := c.token.get(c.now()); value != "" && !due {
		return value, nil
	}
	value, err = c.fetchToken(c.alive)
	c.onToken(err)
	return value, err
}

func (c *Client) fetchToken(ctx context.Context) (string, error) {
	body, err := encodeJSON(struct {
		GrantType    string `json:"grant_type"`
		AppID        string `json:"appid"`
		Secret       string `json:"secret"`
		ForceRefresh bool   `json:"force_refresh"`
	}{"client_credential", c.appID, c.appSecret, false})
	if err != nil {
		return "", errors.New("refreshing access token: encoding request")
	}
	var answer struct {
		Token     string `json:"access_token"`
		ExpiresIn int64  `json:"expires_in"` // seconds that remain
	}
	asked := c.now() // the token ages while the answer travels
	err = c.exchange(ctx, request{
		method: http.MethodPost, path: pathToken, timeout: c.timeout,
		contentType: jsonType, body: body, repeatable: true,
	}, "", &answer)
	if err != nil {
		return "", fmt.Errorf("refreshing access token: %w", err)
	}
	if answer.Token == "" || answer.ExpiresIn <= 0 {
		return "", fmt.Errorf("refreshing access token: %w",
			&TransportError{API: pathToken, reason: "the answer holds no valid token"})
	}
	life := maxLife
	if answer.ExpiresIn < int64(maxLife/time.Second) {
		life = time.Duration(answer.ExpiresIn) * time.Second
	}
	c.token.set(answer.Token, asked, life)
	return answer.Token, nil
}
