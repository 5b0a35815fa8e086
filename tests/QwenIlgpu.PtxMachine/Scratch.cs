using System.Runtime.CompilerServices;

// Every scratch of 32 lanes is written before it is read.
[module: SkipLocalsInit]
