/*
 * libspandsp as a listener and a talker, 8 kHz 16-bit samples on its standard streams.
 *
 *   spandsp adsi STANDARD   prints each caller-id message as hexadecimal (STANDARD as in adsi.h)
 *   spandsp dtmf [tone]     prints the keys heard; with "tone" it filters a dial tone first
 *   spandsp press KEYS ON OFF LEVEL TWIST   sounds keys
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <spandsp.h>

static void message(void *user, const uint8_t *bytes, int length)
{
    (void) user;
    for (int i = 0; i < length; i++)
        printf("%02x", bytes[i]);
    printf("\n");
}

static int listen_adsi(int standard)
{
    adsi_rx_state_t *state = adsi_rx_init(NULL, standard, message, NULL);
    int16_t samples[160];
    size_t count;
    while ((count = fread(samples, 2, 160, stdin)) > 0)
        adsi_rx(state, samples, (int) count);
    return 0;
}

static int listen_dtmf(int filter)
{
    dtmf_rx_state_t *state = dtmf_rx_init(NULL, NULL, NULL);
    int16_t samples[160];
    char keys[129];
    size_t count;
    if (filter)
        dtmf_rx_parms(state, 1, -1, -1, -99);
    while ((count = fread(samples, 2, 160, stdin)) > 0) {
        dtmf_rx(state, samples, (int) count);
        if (dtmf_rx_get(state, keys, 128) > 0)
            printf("%s", keys);
    }
    printf("\n");
    return 0;
}

static int press(char **arguments)
{
    dtmf_tx_state_t *state = dtmf_tx_init(NULL);
    int16_t samples[160];
    int count;
    dtmf_tx_set_timing(state, atoi(arguments[1]), atoi(arguments[2]));
    dtmf_tx_set_level(state, atoi(arguments[3]), atoi(arguments[4]));
    dtmf_tx_put(state, arguments[0], -1);
    while ((count = dtmf_tx(state, samples, 160)) > 0)
        fwrite(samples, 2, (size_t) count, stdout);
    return 0;
}

int main(int count, char **arguments)
{
    if (count == 3 && strcmp(arguments[1], "adsi") == 0)
        return listen_adsi(atoi(arguments[2]));
    if (count >= 2 && strcmp(arguments[1], "dtmf") == 0)
        return listen_dtmf(count > 2);
    if (count == 7 && strcmp(arguments[1], "press") == 0)
        return press(arguments + 2);
    fprintf(stderr, "see the head of this file\n");
    return 2;
}
