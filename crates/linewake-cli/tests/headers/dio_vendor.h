// dio48 API (c) M@LLER & SOHN, all rights reserved
#if 0
#define IOCTL_DIO_OLD CTL_CODE(1, 2, 3, 0)
#endif
#ifdef __cplusplus
extern "C" {
#endif
#define DIO_DEVICE  "\\\\.\\Dio48"
#ifdef _WIN32
# define DIO_API __declspec(dllimport)
#else
# define DIO_API
#endif
typedef unsigned char u8_t; typedef u8_t port_t[6];
enum dio_cmd { DIO_CMD_A = 0x900, DIO_CMD_B, DIO_CMD_IRQ = DIO_CMD_A + 0x10 };
enum { IOCTL_DIO_READ = CTL_CODE(0x8048, DIO_CMD_B, METHOD_BUFFERED, FILE_ANY_ACCESS),
       IOCTL_DIO_IRQ  = CTL_CODE(0x8048, DIO_CMD_IRQ, METHOD_OUT_DIRECT, FILE_READ_DATA) };
static const DWORD IOCTL_DIO_RESET = CTL_CODE(0x8048, 0x9FF, METHOD_BUFFERED, FILE_WRITE_DATA);
#define DIO_IOCTL_LEGACY 0x80482444
struct dio_state { port_t ports; union { WORD w; BYTE b[2]; } status; double volts; void (*cb)(int); long tail; };
class Dio { public: int x; Dio(int a) : x(a) { } virtual void f() = 0; };
static inline int dio_tail(int a) { struct dio_state s; return a ? s.tail : 0; }
@@@ junk ### 'unterminated
#define DIO_BAD CTL_CODE(0x8048,
/* endless
