/*
 * Prints libtonezone's table: a line "COUNTRY ring MS MS …", then lines "COUNTRY TONE-NUMBER CADENCE".
 *
 * Its header needs the kernel driver's, which Debian packages elsewhere; the layout is repeated here and checked by what is printed.
 */
#include <stdio.h>

struct tone_zone_sound {
    int toneid;
    char data[256];
};

struct tone_zone {
    int zone;
    char country[10];
    char description[40];
    int ringcadence[16];
    struct tone_zone_sound tones[16];
    int levels[4];
};

struct tone_zone *tone_zone_find(char *country);

int main(int count, char **countries)
{
    for (int i = 1; i < count; i++) {
        struct tone_zone *zone = tone_zone_find(countries[i]);
        if (!zone)
            continue;
        printf("%s ring", countries[i]);
        for (int k = 0; k < 16 && zone->ringcadence[k]; k++)
            printf(" %d", zone->ringcadence[k]);
        printf("\n");
        for (int k = 0; k < 16; k++)
            if (zone->tones[k].data[0])
                printf("%s %d %s\n", countries[i], zone->tones[k].toneid, zone->tones[k].data);
    }
    return 0;
}
