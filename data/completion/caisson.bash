# bash completion for caisson: asks `caisson __complete` what the word may become.

_caisson() {
	local line=${COMP_LINE:0:COMP_POINT} words=() part bare i
	# bash splits words at = and : as well: what has nothing between it is one word
	for ((i = 0; i <= COMP_CWORD; i++)); do
		bare=${line#"${line%%[! $'\t']*}"}
		part=${COMP_WORDS[i]}
		((i < COMP_CWORD)) || part=$bare
		if ((i > 0)) && [[ $bare == "$line" && -n $part ]]; then
			words[-1]+=$part
		elif ((i == 0)) || [[ $bare != "$line" ]]; then
			words+=("$part")
		fi
		line=${bare#"$part"}
	done

	local word=${words[-1]} answer
	mapfile -t answer < <("${words[0]}" __complete "${words[@]:1}" 2> /dev/null)
	((${#answer[@]} > 0)) || return
	local end=${answer[-1]}
	unset 'answer[-1]'

	case $end in
	:files | :directories)
		local path=${word#*=}
		[[ $word == -* ]] || path=$word
		compopt -o filenames
		if [[ $end == :files ]]; then
			mapfile -t COMPREPLY < <(compgen -f -- "$path")
		else
			mapfile -t COMPREPLY < <(compgen -d -- "$path")
		fi
		return
		;;
	:nospace) compopt -o nospace ;;
	esac

	# what is in front of the last = or : is there already, and is not to be replaced
	local before=${word%"${word##*[=:]}"}
	[[ $COMP_WORDBREAKS == *[=:]* ]] || before=
	COMPREPLY=()
	for part in "${answer[@]}"; do
		part=${part%%$'\t'*}
		COMPREPLY+=("${part#"$before"}")
	done
}

complete -F _caisson caisson
