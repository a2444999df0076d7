// Package simulator imitates both clouds a bridge stands between: WeChat's side of one
// Official Account (WeChat) and Botpress's Chat API with a bot behind it (Botpress). Both
// are plain http.Handlers. They share no code with the module they test, so that one
// mistake is not made on both sides; their own cryptography is tested against WeChat's
// published vectors.
//
//	wc := simulator.NewWeChat(simulator.WeChatConfig{
//		AppID: "wx0123456789abcdef", AppSecret: "...", Token: "...",
//		CallbackURL: "http://127.0.0.1:9080/wechat",
//	})
//	defer wc.Close()
//	go http.ListenAndServe("127.0.0.1:9081", wc)
//	d := wc.Push(ctx, wc.Text("oAlice", "hello"))   // what became of the push
//	seen, err := wc.Wait(ctx, "oAlice", 1)          // what the user sees of the answer
//
// # WeChat: pushes
//
// A push is signed and, outside plain mode, encrypted afresh for every attempt. An attempt
// ends after 5 s, the next one follows at once, three in all; after a connection error
// there is a short pause. The answer has to be status 200 with the body "success", no body
// at all, or a valid passive reply. Replies are judged strictly: well-formed, no unknown
// and no repeated element, names swapped, text of 1 to 2048 bytes, one article in answer to
// a message and eight to an event, media that exists, MsgSignature and AppID right, plaintext
// only where the mode takes it. Everything else is illegal and, like three timeouts, shows
// the user WeChat's failure notice.
//
// # WeChat: API
//
// Served below /cgi-bin/: token, stable_token, message/custom/send, message/custom/typing,
// media/upload, media/uploadimg, media/get, user/info, menu/create, menu/get, menu/delete,
// get_current_selfmenu_info, qrcode/create, getcallbackip, get_api_domain_ip,
// callback/check, clear_quota, openapi/quota/get. Errors are errcodes under status 200.
// The allowance clock is on unless NoAllowance is set: 5 messages in 48 h after a message, 3
// in 1 min after a tap, a follow or a scan (45047, 45015).
//
// Where WeChat's documentation is silent or contradicts itself the simulator takes the side
// that is harder on the server: images up to 2 MiB, \uXXXX escapes refused, a new AppSecret
// ends all tokens, news with too many articles refused. Daily quotas are counted, not enforced.
// Not simulated: permanent material, template and subscription messages, tags, broadcasts,
// conditional menus.
//
// # WeChat: control API
//
// Below /control/wechat/; GET on it lists the endpoints. Bodies are JSON whatever their
// Content-Type, unknown names are refused, answers are pretty-printed raw UTF-8, errors are
// {"error"} under 400, 404 or 405. There is no authentication: bind it to loopback. As a user:
//
//	curl -d '{"openid":"oAlice","text":"hello"}' http://127.0.0.1:9081/control/wechat/push
//	curl 'http://127.0.0.1:9081/control/wechat/seen?openid=oAlice&wait=1'
//
//	POST   push        {"openid","type",...}; sent in the background, or with "wait":true
//	                   before the answer, which then is the delivery. Types and their names:
//	                     text        text, menuid (the tapped item)
//	                     image       file (base64; else a small PNG)
//	                     voice, video, shortvideo   likewise
//	                     sticker
//	                     location    lat, lng, label
//	                     link        title, description, url
//	                     event       event, key; LOCATION: lat, lng
//	                     scan        ticket (of qrcode/create)
//	                     any other   inner (XML of its elements)
//	                   Besides: inner, raw (the whole XML), body (the whole HTTP body), msgid,
//	                   create_time, mode, attempts, lose_answers, duplicates (sent this many
//	                   times more at the same moment), age ("10m"), forge (see Forgery)
//	GET    seen        ?openid= what the user sees; after=N only what is newer than seq N;
//	                   wait=1 holds up to 30 s for something newer than after or, without it,
//	                   newer than the user's last push
//	GET    events      ?since= all that happens, as server-sent events; see Happening
//	GET    deliveries  ?openid=&limit=100
//	GET    calls       ?path=&limit=100
//	POST   verify      {"forge":{"signature":true},"age":"10m"}; {} for a good one
//	GET    faults      those in force
//	POST   faults      {"path","openid","type","skip","times","delay":"2s","cut","cut_after",
//	                   "http_status","body","code","msg"}, see WeChatFault
//	DELETE faults
//	POST   down        {"down":true}: every API connection is closed at once
//	POST   clock       {"advance":"49h"}: tokens, allowances, typing, media
//	POST   mode        {"mode":"plain|compatible|safe"}
//	POST   kind        {"kind":"verified|individual|sandbox"}
//	POST   secret      {"secret":"..."}
//	POST   ips         {"allow":["10.0.0.1"]}: the IP allowlist; [] switches it off.
//	                   {"callback":["10.0.0.0/24"]}: what getcallbackip answers
//	POST   tokens      {"end":"expired|revoked"}: 42001 or 40001 from now on
//	POST   windows     {"openid"}: the user's allowance ends now; "" = everybody's
//	POST   menu        {"button":[...]}: as menu/create takes it; DELETE: none
//	POST   reset       forgets everything but the settings
//	GET    state       settings, counters, users
//
// # Botpress
//
// See Botpress for what it serves and BotpressConfig for its quirks. Its control API, below
// /control/botpress/, works the same way.
package simulator
