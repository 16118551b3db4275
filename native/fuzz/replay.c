/* Runs a fuzz target over the files named, or over all files of the folders named: ctest replays the seed corpora
 * without a fuzzing compiler. Exits 1 when a file cannot be read; a broken property ends the program in the target
 * itself. */
#define _FILE_OFFSET_BITS 64 /* else a 32-bit readdir fails on the inode numbers of a large disk */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) return 1;
    static uint8_t buffer[1 << 20];
    const size_t size = fread(buffer, 1, sizeof buffer, file);
    fclose(file);
    uint8_t *exact = malloc(size ? size : 1); /* a block of just this size, so that a sanitizer sees every over-read */
    if (exact == NULL) return 1;
    for (size_t i = 0; i < size; i++)
        exact[i] = buffer[i];
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    return 0;
}

int main(int argc, char **argv) {
    int failed = 0, runs = 0;
    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        if (folder == NULL) {
            failed |= run_file(argv[i]);
            runs++;
            continue;
        }
        for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
            char path[4096];
            if (entry->d_name[0] == '.') continue;
            snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            failed |= run_file(path);
            runs++;
        }
        closedir(folder);
    }
    printf("%d inputs replayed\n", runs);
    return failed || runs == 0;
}
