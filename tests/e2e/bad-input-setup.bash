# The set-ups that rows of bad-input.table name. undo_NAME, if there is one, runs after the row.

# Files that say nothing good.
files() {
	echo 'no JSON, no archive' > "$DIR/text"
	echo 'A B=x' > "$DIR/spaced.env"
	echo '=x' > "$DIR/nameless.env"
}
undo_files() { rm "$DIR/text" "$DIR/spaced.env" "$DIR/nameless.env"; }

# What only hyperv mode refuses: such a row is left out in the other.
hyperv() { :; }

# What only process mode has: hyperv mode refuses it earlier, with another text.
process() { [ "$TOOL_PROGRAM" != "$CAISSON" ] || PROGRAM="$CAISSON --config $E2E_DIR/process.conf"; }

# ---- rows with a state directory of their own, in $DIR/root ----

# A copy of one with an image.
copied() {
	export CAISSON_ROOT=$DIR/root CAISSON_RUN=$DIR/run
	mkdir -p -m 700 "$CAISSON_ROOT" "$CAISSON_RUN"
	cp -a "$E2E_DIR/one-image/." "$CAISSON_ROOT"
}
undo_copied() {
	caisson ps -aq | xargs -r "$CAISSON" rm -f > /dev/null
	caisson network prune -f > /dev/null
	rm -r --one-file-system "$DIR/root" "$DIR/run"
}

# Its database is no good, in several ways; what is said to help does.
damage() {
	copied
	rm -f "$CAISSON_ROOT"/db.sqlite-*
}
rebuilt() {
	"$CAISSON" system rebuild > /dev/null 2>&1 && [ "$(caisson images -q | wc -l)" = 1 ] && ls "$CAISSON_ROOT"/damaged/*/ > /dev/null && undo_copied
}
emptied() { damage && : > "$CAISSON_ROOT/db.sqlite"; }
undo_emptied() { rebuilt; }
missing() { damage && rm "$CAISSON_ROOT/db.sqlite"; }
undo_missing() { rebuilt; }
truncated() { damage && truncate -s 20000 "$CAISSON_ROOT/db.sqlite"; }
undo_truncated() { rebuilt; }
zeroed() { damage && head -c 20000 /dev/zero | dd of="$CAISSON_ROOT/db.sqlite" conv=notrunc status=none; }
undo_zeroed() { rebuilt; }
of_another() { damage && echo 'no database' > "$CAISSON_ROOT/db.sqlite"; }
undo_of_another() { rebuilt; }

read_only() {
	copied
	mount --bind "$CAISSON_ROOT" "$CAISSON_ROOT"
	mount -o remount,bind,ro "$CAISSON_ROOT"
}
undo_read_only() { umount "$CAISSON_ROOT" && undo_copied; }

# On a file system of its own with little room.
small() {
	mkdir -p "$DIR/root"
	mount -t tmpfs -o size="${ROOM:-6m}" tmpfs "$DIR/root"
	copied
}
undo_small() {
	[ "$(strays)" = '' ] && [ "$(find "$CAISSON_ROOT/layers" -mindepth 1 -maxdepth 1 ! -name '.*' | wc -l)" = 1 ] || return 1
	caisson network prune -f > /dev/null
	umount "$CAISSON_ROOT" && rm -r "$DIR/root" "$DIR/run"
}

# No room at all, even after the database's reserve has been given up.
fill() {
	local n
	for n in 1 2; do
		dd if=/dev/zero of="$CAISSON_ROOT/fill$n" bs=4k status=none 2> /dev/null
		caisson ps > /dev/null 2>&1
	done
	return 0
}
full() { small && fill; }
undo_full() { undo_small; }

# A registry that says nothing for a second is given up.
impatient() {
	{ cat "$CAISSON_CONFIG" && echo 'registry-timeout = 1'; } > "$DIR/conf"
	export CAISSON_CONFIG=$DIR/conf
}
undo_impatient() { rm "$DIR/conf"; }

# What a layer tried to do outside of its directory is seen.
witness() { : > /tmp/caisson-witness && rm -f /tmp/escaped; }
undo_witness() {
	[ -e /tmp/caisson-witness ] && [ ! -e /tmp/escaped ] && rm /tmp/caisson-witness
}
