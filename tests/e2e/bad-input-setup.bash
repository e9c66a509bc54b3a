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
