// Package botpress speaks Botpress's Chat API from a server: it acts for many end users of one bot, signs
// their keys itself where the Chat integration has an encryption key ("personal" mode) and uses those that Botpress
// issues where it has none ("shared" mode), and knows the API's quirks.
//
// It decides nothing about retries beyond one: it classifies what went wrong ([Error]) and leaves the policy to
// the caller. It does wait where Botpress says so: every call passes one gate per [Client] that obeys the rate
// limit headers and lets waiting callers through in the order they came.
//
// The facts come from the Botpress Chat API (integration "chat", API version 1.0.0).
package botpress
