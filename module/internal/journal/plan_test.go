package journal

import (
	"context"
	"strings"
	"testing"
)

// TestPlans: what runs for every message finds its rows by an index, however many there are, and
// sorts nothing.
func TestPlans(t *testing.T) {
	j := testOpen(t, Config{})
	tests := map[string]struct {
		query string
		uses  string
	}{
		"next pushes":          {selectPushes, "pushes_waiting"},
		"next replies":         {selectReplies, "replies_waiting"},
		"users, pushes":        {pushUsers, "pushes_waiting"},
		"files":                {filePushes, "pushes_files"},
		"users, replies":       {replyUsers, "replies_waiting"},
		"parked":               {anyParked, "replies_parked"},
		"forget parked":        {forgetReplies, "replies_parked"},
		"park":                 {parkAll, "replies_waiting"},
		"unpark":               {unparkAll, "replies_parked"},
		"count":                {countWaiting, "pushes_waiting"},
		"duplicate":            {findPush, "dedup"},
		"push done":            {finishPush, "INTEGER PRIMARY KEY"},
		"reply done":           {doneReply, "INTEGER PRIMARY KEY"},
		"park behind":          {parkBehind, "replies_parked"},
		"unpark, stale":        {buryStale, "replies_parked"},
		"push answered":        {answerPush, "INTEGER PRIMARY KEY"},
		"push counted":         {countPush, "INTEGER PRIMARY KEY"},
		"spend":                {spendMessage, "PRIMARY KEY"},
		"exhaust":              {exhaust, "PRIMARY KEY"},
		"left":                 {userLeft, "PRIMARY KEY"},
		"leavers":              {selectLeavers, "PRIMARY KEY"},
		"set trace":            {setTrace, "PRIMARY KEY"},
		"set profile":          {setProfile, "PRIMARY KEY"},
		"reply step":           {stepReply, "INTEGER PRIMARY KEY"},
		"user":                 {selectUser, "PRIMARY KEY"},
		"user by conversation": {selectConversation, "users_conversation"},
		"active users":         {selectActive, "PRIMARY KEY"},
		"choices over":         {endChoices, "PRIMARY KEY"},
		"choice":               {selectChoice, "PRIMARY KEY"},
		"latest choice":        {selectLatest, "choices_shown"},
		"forget choices":       {forgetChoices, "PRIMARY KEY"},
		"old choices":          {oldChoices, "choices_old"},
		"old uploads":          {oldUploads, "uploads_old"},
		"prune choices":        {pruneChoices, "choices_old"},
		"upload":               {selectUpload, "PRIMARY KEY"},
		"prune uploads":        {pruneUploads, "uploads_old"},
		"dead letters":         {selectDead, "dead_account"},
		"dead heads":           {selectDeadHeads, "dead_account"},
		"dead letter":          {selectDeadLetter, "INTEGER PRIMARY KEY"},
		"users, parked":        {parkedUsers, "replies_parked"},
		"user's backlog":       {selectUserBacklog, "replies_parked"},
		"parked page":          {selectParked, "replies_parked (account=? AND (openid,created_at,message_id)>"},
		"parked page, user":    {selectParkedOf, "replies_parked (account=? AND openid=? AND (created_at,message_id)>"},
		"revive push":          {revivePush, "dedup"},
		"revive reply":         {reviveReply, "message_id"},
		"drop parked":          {dropParked, "replies_parked"},
		"newest push":          {newestPush, "INTEGER PRIMARY KEY (rowid>?)"},
		"newest reply":         {newestReply, "INTEGER PRIMARY KEY (rowid>?)"},
		"prune pushes, scan":   {sweeps()[0].scan, "INTEGER PRIMARY KEY"},
		"prune pushes, purge":  {sweeps()[0].purge, "INTEGER PRIMARY KEY (rowid>? AND rowid<?)"},
		"prune replies, scan":  {sweeps()[1].scan, "INTEGER PRIMARY KEY"},
		"prune replies, purge": {sweeps()[1].purge, "INTEGER PRIMARY KEY (rowid>? AND rowid<?)"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var plan []string
			rows, err := j.r.db.QueryContext(context.Background(), "EXPLAIN QUERY PLAN "+test.query, 1, 1, 1, 1, 1, 1)
			noErr(t, err)
			defer rows.Close()
			for rows.Next() {
				var id, parent, unused int
				var detail string
				noErr(t, rows.Scan(&id, &parent, &unused, &detail))
				plan = append(plan, detail)
			}
			noErr(t, rows.Err())
			text := strings.Join(plan, "\n")
			// A scan of the recursion's own queue, of a constant row, or one that LIMIT ends is none.
			for _, line := range plan {
				if strings.HasPrefix(line, "SCAN") && !strings.HasPrefix(line, "SCAN u") && line != "SCAN CONSTANT ROW" {
					t.Errorf("reads everything: %s", line)
				}
				if strings.Contains(line, "TEMP B-TREE") {
					t.Errorf("sorts: %s", line)
				}
			}
			if !strings.Contains(text, test.uses) && !strings.Contains(text, "autoindex") {
				t.Errorf("does not use %s:\n%s", test.uses, text)
			}
		})
	}
}
