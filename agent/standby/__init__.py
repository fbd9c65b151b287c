"""A process that has everything loaded, from which commands start in milliseconds (a fork server).

`client` is the first thing a `shoal` process runs, `server` what it asks, `request` what goes between them, `rights`
who may ask, `becoming` how one process takes the place of another, and `keeper` what an agent does so that there is a
server when commands come.
"""
