// FSCTL_PIPE_LISTEN and its cancellation, with a callback, as .NET documents it for any control code: ThreadPoolBoundHandle,
// a NativeOverlapped for each call, and a TaskCompletionSource. It takes turns as the other programs do.
using System;
using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.Win32.SafeHandles;

static unsafe class Program
{
    const uint LISTEN = 0x00110008;
    const int ERROR_OPERATION_ABORTED = 995, ERROR_IO_PENDING = 997;
    // PIPE_ACCESS_DUPLEX, FILE_FLAG_FIRST_PIPE_INSTANCE and FILE_FLAG_OVERLAPPED; PIPE_TYPE_MESSAGE and PIPE_READMODE_MESSAGE.
    const uint OPEN = 0x40080003, MODE = 6;

    [DllImport("kernel32", CharSet = CharSet.Unicode, SetLastError = true)]
    static extern SafeFileHandle CreateNamedPipeW(
        string name, uint open, uint mode, uint instances, uint output, uint input, uint timeout, IntPtr security);
    [DllImport("kernel32", SetLastError = true)]
    static extern int DeviceIoControl(
        SafeHandle file, uint code, void* input, uint inputLength, void* output, uint outputLength, uint* count,
        NativeOverlapped* overlapped);
    [DllImport("kernel32", SetLastError = true)]
    static extern int CancelIoEx(SafeHandle file, NativeOverlapped* overlapped);

    static SafeFileHandle pipe;
    static ThreadPoolBoundHandle bound;

    static Task<uint> Listen(out NativeOverlapped* call)
    {
        var done = new TaskCompletionSource<uint>(TaskCreationOptions.RunContinuationsAsynchronously);
        call = bound.AllocateNativeOverlapped((code, count, overlapped) =>
        {
            bound.FreeNativeOverlapped(overlapped);
            if (code == 0) done.SetResult(count);
            else done.SetException(new Win32Exception((int)code));
        }, null, null);
        bool ok = DeviceIoControl(pipe, LISTEN, null, 0, null, 0, null, call) != 0;
        int error = ok ? 0 : Marshal.GetLastWin32Error();
        if (!ok && error != ERROR_IO_PENDING)
        {
            bound.FreeNativeOverlapped(call);
            throw new Win32Exception(error);
        }
        return done.Task;
    }

    static void Calls(long count)
    {
        for (; count > 0; count--)
        {
            NativeOverlapped* call;
            Task<uint> done = Listen(out call);
            // Nobody connects, so the call is still there.
            if (CancelIoEx(pipe, call) == 0) throw new Win32Exception(Marshal.GetLastWin32Error());
            // To wait for the task itself would throw: that is not what is measured.
            ((IAsyncResult)done).AsyncWaitHandle.WaitOne();
            var error = done.Exception.InnerException as Win32Exception;
            if (error.NativeErrorCode != ERROR_OPERATION_ABORTED) throw error;
        }
    }

    static void Main()
    {
        string name = @"\\.\pipe\dotnet-" + Process.GetCurrentProcess().Id;
        pipe = CreateNamedPipeW(name, OPEN, MODE, 1, 65536, 65536, 0, IntPtr.Zero);
        if (pipe.IsInvalid) throw new Win32Exception();
        bound = ThreadPoolBoundHandle.BindHandle(pipe);
        Console.WriteLine("ready");
        string line;
        while ((line = Console.ReadLine()) != null)
        {
            var watch = Stopwatch.StartNew();
            Calls(long.Parse(line.Trim()));
            watch.Stop();
            Console.WriteLine((long)(watch.ElapsedTicks * (1e9 / Stopwatch.Frequency)));
        }
    }
}
