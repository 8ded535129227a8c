/* Qt 5 or 6 */
#include "reads.h"
#include <QCoreApplication>
#include <QSocketNotifier>
#include <QTimer>

int main(int argc, char **argv)
{
    QCoreApplication application(argc, argv);
    QTimer timer;
    reads_start(argc, argv);
    auto *notifier = new QSocketNotifier(reads_descriptor(), QSocketNotifier::Read);
    QObject::connect(notifier, &QSocketNotifier::activated, [] {
        if (!reads_handle())
            QCoreApplication::quit();
    });
    QObject::connect(&timer, &QTimer::timeout, reads_tick);
    timer.setTimerType(Qt::PreciseTimer);
    timer.start(TICK_MS);
    application.exec();

    notifier->setEnabled(false); /* before caio_ctx_free */
    delete notifier;
    return reads_finish();
}
