"The command line `gwi`; no module here imports torch before a command has work for it."
