// Package caddywechat plugs the caddy-wechat modules into Caddy:
//
//	xcaddy build --with github.com/caddy-wechat/caddy-wechat
//
// The modules themselves are in the package module.
package caddywechat

import (
	_ "github.com/caddy-wechat/caddy-wechat/module"
)
