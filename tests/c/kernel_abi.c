/* Prints the bytes of the kernel's structures, one per line, as the kernel's headers lay them out here. */
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <string.h>

static void print(const char *name, const void *start, size_t size)
{
    const unsigned char *bytes = start;
    printf("%s ", name);
    for (size_t at = 0; at < size; at++)
        printf("%02x", bytes[at]);
    putchar('\n');
}

static void print_transfer(const char *name, int opcode)
{
    struct io_uring_sqe sqe;
    memset(&sqe, 0, sizeof sqe);
    sqe.opcode = (unsigned char)opcode;
    sqe.flags = IOSQE_ASYNC;
    sqe.ioprio = 0x1234;
    sqe.fd = 77;
    sqe.off = 0x0102030405060708ull;
    sqe.addr = 0x11223344;
    sqe.len = 0x05667788;
    sqe.rw_flags = 0x19;
    sqe.user_data = 0xa1b2c3d4e5f60718ull;
    print(name, &sqe, sizeof sqe);
}

int main(void)
{
    print_transfer("read", IORING_OP_READ);
    print_transfer("write", IORING_OP_WRITE);
    print_transfer("readv", IORING_OP_READV);
    print_transfer("writev", IORING_OP_WRITEV);

    struct io_uring_sqe sqe;
    memset(&sqe, 0, sizeof sqe);
    sqe.opcode = IORING_OP_ASYNC_CANCEL;
    sqe.fd = -1;
    sqe.addr = 0xa1b2c3d4e5f60718ull;
    print("cancel", &sqe, sizeof sqe);
    memset(&sqe, 0, sizeof sqe);
    sqe.opcode = IORING_OP_NOP;
    sqe.fd = -1;
    print("nop", &sqe, sizeof sqe);

    struct io_uring_cqe cqe;
    memset(&cqe, 0, sizeof cqe);
    cqe.user_data = 0xa1b2c3d4e5f60718ull;
    cqe.res = -5;
    cqe.flags = 9;
    print("cqe", &cqe, sizeof cqe);

    struct io_uring_params params;
    memset(&params, 0, sizeof params);
    params.sq_entries = 3;
    params.cq_entries = 5;
    params.flags = IORING_SETUP_SQPOLL;
    params.features = IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE;
    print("params", &params, sizeof params);

    struct iocb iocb;
    memset(&iocb, 0, sizeof iocb);
    iocb.aio_data = 0xa1b2c3d4e5f60718ull;
    iocb.aio_rw_flags = 0x19;
    iocb.aio_lio_opcode = IOCB_CMD_PWRITEV;
    iocb.aio_reqprio = 0x1234;
    iocb.aio_fildes = 77;
    iocb.aio_buf = 0x11223344;
    iocb.aio_nbytes = 0x05667788;
    iocb.aio_offset = 0x0102030405060708ll;
    iocb.aio_flags = IOCB_FLAG_RESFD | IOCB_FLAG_IOPRIO;
    iocb.aio_resfd = 78;
    print("iocb", &iocb, sizeof iocb);

    struct io_event event;
    memset(&event, 0, sizeof event);
    event.data = 0xa1b2c3d4e5f60718ull;
    event.obj = 1;
    event.res = -5;
    event.res2 = 2;
    print("io_event", &event, sizeof event);
    return 0;
}
