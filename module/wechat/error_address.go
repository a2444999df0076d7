package wechat

import "net/netip"

// Address returns the address that WeChat refuses to serve (40164), as its message
// names it.
func (e *Error) Address() (netip.Addr, bool) {
	if e.Code != 40164 {
		return netip.Addr{}, false
	}
	return addressIn(e.Msg)
}
