/** Prints the CPU time in µs that the import of the named package costs this process. */
const before = process.cpuUsage();
await import(process.argv[2]);
const { user, system } = process.cpuUsage(before);
console.log(user + system);
