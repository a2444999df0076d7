package wechat

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
)

const (
	pathCheck = "/cgi-bin/callback/check"
	pathQuota = "/cgi-bin/openapi/quota/get"
)

// Codes by which callback/check says that there is nothing to check.
const codeNoCallback = 40201

// CallbackCheck is how WeChat sees the server that its pushes go to.
type CallbackCheck struct {
	// Configured says that WeChat knows of a callback URL at all.
	Configured bool
	// Addresses are what the URL's host resolves to, for WeChat.
	Addresses []string
	// Pings are how they could be reached.
	Pings []CallbackPing
}

// CallbackPing is how WeChat reached one address.
type CallbackPing struct {
	IP string
	// Operator is the network from which it was tried.
	Operator string
	// Loss is the share of packets that were lost, from 0 to 1. Servers may refuse
	// pings and be reached all the same.
	Loss float64
}

// CheckCallback has WeChat resolve and ping the account's callback URL. It may take
// some seconds. (WeChat: network detection.)
func (c *Client) CheckCallback(ctx context.Context) (CallbackCheck, error) {
	body, err := encodeJSON(map[string]string{"action": "all", "check_operator": "DEFAULT"})
	if err != nil {
		return CallbackCheck{}, err
	}
	var answer struct {
		DNS []struct {
			IP string `json:"ip"`
		} `json:"dns"`
		Ping []struct {
			IP       string `json:"ip"`
			Operator string `json:"from_operator"`
			Loss     string `json:"package_loss"`
		} `json:"ping"`
	}
	err = c.call(ctx, request{
		method: http.MethodPost, path: pathCheck, contentType: jsonType, body: body,
		timeout: c.timeout * uploadFactor, repeatable: true,
	}, &answer)
	if e, ok := errors.AsType[*Error](err); ok && e.Code == codeNoCallback {
		return CallbackCheck{}, nil
	}
	if err != nil {
		return CallbackCheck{}, err
	}
	out := CallbackCheck{Configured: true}
	for _, d := range answer.DNS {
		if d.IP != "" {
			out.Addresses = append(out.Addresses, cleanText(d.IP))
		}
	}
	for _, p := range answer.Ping {
		out.Pings = append(out.Pings, CallbackPing{cleanText(p.IP), cleanText(p.Operator), share(p.Loss)})
	}
	return out, nil
}

// share reads a percentage such as "12.5%"; what is none counts as 0.
func share(s string) float64 {
	f, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(s), "%")), 64)
	if err != nil || !(f >= 0) {
		return 0
	}
	return min(f/100, 1)
}

// Quota is how often an API may be called in a day.
type Quota struct{ Limit, Used, Remain int64 }

// Quota asks what is left of a day's quota of an API, named by its path such as
// /cgi-bin/message/custom/send. (WeChat: API quotas.)
func (c *Client) Quota(ctx context.Context, api string) (Quota, error) {
	body, err := encodeJSON(map[string]string{"cgi_path": api})
	if err != nil {
		return Quota{}, err
	}
	var answer struct {
		Quota struct {
			Limit  int64 `json:"daily_limit"`
			Used   int64 `json:"used"`
			Remain int64 `json:"remain"`
		} `json:"quota"`
	}
	err = c.call(ctx, request{
		method: http.MethodPost, path: pathQuota, contentType: jsonType, body: body,
		timeout: c.timeout, repeatable: true,
	}, &answer)
	return Quota(answer.Quota), err
}
