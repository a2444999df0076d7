package wechat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// Paths of the menu's calls.
const (
	pathMenuCreate = "/cgi-bin/menu/create"
	pathMenuGet    = "/cgi-bin/menu/get"
	pathMenuDelete = "/cgi-bin/menu/delete"
	pathSelfMenu   = "/cgi-bin/get_current_selfmenu_info"
)

// codeNoMenu is what WeChat answers when there is no menu to get.
const codeNoMenu = 46003

// ErrMenu says that a menu cannot be set as it is. WeChat has not been asked.
var ErrMenu = errors.New("menu is not valid")

// Menu returns the menu that was set by CreateMenu, as the JSON object that
// CreateMenu takes: {"button":[...]}. It is nil if there is none; a menu that was
// made in WeChat's console is not seen here, but by CurrentMenu. (WeChat: custom
// menus, querying.)
func (c *Client) Menu(ctx context.Context) (json.RawMessage, error) {
	var answer struct {
		Menu json.RawMessage `json:"menu"`
	}
	err := c.call(ctx, request{method: http.MethodGet, path: pathMenuGet, timeout: c.timeout, repeatable: true}, &answer)
	if e, ok := errors.AsType[*Error](err); ok && e.Code == codeNoMenu {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return answer.Menu, nil
}

// CreateMenu replaces the menu. It takes {"button":[...]}, or what WeChat answers
// to a query, which has that below "menu". Users see it when they follow anew, or
// within a day: WeChat's apps keep the old one. An error that matches ErrMenu
// says what is wrong with the menu. (WeChat: custom menus, creating.)
func (c *Client) CreateMenu(ctx context.Context, menu json.RawMessage) error {
	m, err := readMenu(menu)
	if err != nil {
		return err
	}
	// Encoded anew: WeChat refuses \uXXXX escapes (40033).
	b, err := encodeJSON(map[string]any{"button": m})
	if err != nil {
		return fmt.Errorf("encoding menu: %w", err)
	}
	return c.call(ctx, request{
		method: http.MethodPost, path: pathMenuCreate, contentType: jsonType, body: b,
		timeout: c.timeout, repeatable: true,
	}, nil)
}

// DeleteMenu takes the menu away; that there is none is no error.
func (c *Client) DeleteMenu(ctx context.Context) error {
	return c.call(ctx, request{method: http.MethodGet, path: pathMenuDelete, timeout: c.timeout, repeatable: true}, nil)
}

// CurrentMenu is the menu that users see, wherever it was made.
type CurrentMenu struct {
	// Open says that a menu is shown.
	Open bool
	// Info is its description, whose form depends on where it was made; nil if
	// there is none.
	Info json.RawMessage
}

// CurrentMenu asks for the menu that users see. It works for accounts that may not
// use the other calls, too.
func (c *Client) CurrentMenu(ctx context.Context) (CurrentMenu, error) {
	var answer struct {
		Open json.Number     `json:"is_menu_open"`
		Info json.RawMessage `json:"selfmenu_info"`
	}
	err := c.call(ctx, request{method: http.MethodGet, path: pathSelfMenu, timeout: c.timeout, repeatable: true}, &answer)
	if err != nil {
		return CurrentMenu{}, err
	}
	return CurrentMenu{Open: answer.Open != "" && answer.Open != "0", Info: answer.Info}, nil
}
