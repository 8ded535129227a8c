/* Prints the backend of a default context, whether the kernel runs this program in secure mode (set-uid), and the probe's text. */
#include "check.h"
#include <sys/auxv.h>

int main(void)
{
    char why[1024];
    caio_ctx *ctx = make_ctx(CAIO_BACKEND_AUTO, 0);
    EXPECT(caio_backend_probe(CAIO_BACKEND_AUTO, why, sizeof why), 0);
    printf("%s\n%s\n%s\n", caio_backend_name((uint32_t)caio_ctx_backend(ctx)), getauxval(AT_SECURE) ? "secure" : "plain", why);
    caio_ctx_free(ctx);
    return 0;
}
