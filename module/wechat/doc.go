// Package wechat speaks the protocol of a WeChat Official Account (公众号): it
// verifies and opens the pushes that WeChat sends to a callback URL, types them,
// encodes passive replies, and calls the account's HTTP API.
//
// It knows neither Caddy nor any bot. Nothing in it logs; errors carry no secret,
// no access token, no URL query and no words of a user.
package wechat
