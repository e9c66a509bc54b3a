# TAP for the checks of this folder: `report NAME FINDINGS` passes if there are none. Sourced.
tap_number=0
tap_failed=0

report() {
	tap_number=$((tap_number + 1))
	if [ -z "$2" ]; then
		echo "ok $tap_number - $1"
	else
		echo "not ok $tap_number - $1"
		printf '%s\n' "$2" | sed 's/^/# /'
		tap_failed=1
	fi
}

skip() {
	tap_number=$((tap_number + 1))
	echo "ok $tap_number - $1 # SKIP $2"
}

finish() {
	echo "1..$tap_number"
	exit "$tap_failed"
}

# Files of the project by pathspec; without git, as from a tarball, those that find(1) finds by the last part of it.
sources() {
	for spec; do
		git ls-files -co --exclude-standard -- "$spec" 2>/dev/null || find . -path './build*' -prune -o -name "${spec##*/}" -print | sed 's,^\./,,'
	done | sort -u | while read -r file; do [ ! -f "$file" ] || echo "$file"; done
}
