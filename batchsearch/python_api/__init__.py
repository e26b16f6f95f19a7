"""What programs and notebooks call: `batchsearch.run`, `plan`, `check`, `usage` and their async forms.

Nothing here prints, installs a signal handler or needs the main thread. The names are exported by the
package itself, which imports them when they are first used.
"""
