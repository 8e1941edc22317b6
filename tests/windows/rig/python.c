/* python.exe: the wheel that brings python3xx.dll brings no program to start it. */
#include <windows.h>

__declspec(dllimport) int Py_Main(int argc, wchar_t **argv);

int wmain(int argc, wchar_t **argv)
{
    return Py_Main(argc, argv);
}
