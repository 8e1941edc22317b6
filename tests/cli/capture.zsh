# Prints what zsh offers for a line: zsh -f capture.zsh FOLDER LINE WORK
# A second zsh is spoken to as on a terminal, with the completion from the FOLDER on its fpath.
zmodload zsh/zpty zsh/zselect
cat > $3/init <<EOF
PROMPT= RPROMPT=
fpath=($1 \$fpath)
autoload -Uz compinit
compinit -u -d $3/dump
_after() { : > $3/done }
comppostfuncs=(_after)
compadd() {
    # Where matches are only asked for, nothing is offered.
    if [[ \${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then
        builtin compadd "\$@"
        return
    fi
    local -a hits outer inner
    builtin compadd -A hits "\$@"
    zparseopts -E P:=outer p:=inner
    (( \$#hits )) && print -rl -- "\$IPREFIX\$outer[2]\$inner[2]"\${^hits} >> $3/out
    builtin compadd "\$@"
}
bindkey '^I' complete-word
: > $3/ready
EOF
: > $3/out
zpty inner "exec zsh -f -i"
zpty -w inner " source $3/init"
repeat 1000; do
    [[ -e $3/ready ]] && break
    zselect -t 2
done
zpty -w -n inner "$2"$'\t'
repeat 1000; do
    [[ -e $3/done ]] && break
    zselect -t 2
done
zpty -d inner
cat $3/out
