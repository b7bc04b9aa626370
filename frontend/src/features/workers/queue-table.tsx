import { Icon } from '@/components/icon'
import { Prose } from '@/components/prose'
import { Table, Td, Th, Tr } from '@/components/ui/table'
import type { Schemas } from '@/lib/api'
import { cn } from '@/lib/cn'
import { formatCount, formatDuration } from '@/lib/format'

/** What is ready and waits for a worker or for a slot of its pool. */
export function QueueTable({ queues }: { queues: Schemas['QueueBody'][] }) {
  return (
    <Table>
      <thead>
        <tr>
          <Th>Pool</Th>
          <Th>Waiting</Th>
          <Th>Longest</Th>
          <Th>Running</Th>
        </tr>
      </thead>
      <tbody>
        {queues.map(({ pool, waiting, running, oldest_wait_seconds: oldest, reason }) => (
          <Tr key={pool}>
            <Td>
              <span className="mono wrap-text font-medium">{pool}</span>
              {reason && (
                <p className="flex gap-1.5 text-small text-state-retrying">
                  <Icon name="warning" className="mt-0.5 size-3.5 shrink-0" />
                  <span>
                    <Prose text={reason} />
                  </span>
                </p>
              )}
            </Td>
            <Td className={cn(waiting === 0 && 'text-muted-foreground')}>{formatCount(waiting)}</Td>
            <Td className="whitespace-nowrap text-muted-foreground">
              {oldest === null ? '–' : formatDuration(oldest)}
            </Td>
            <Td className={cn(running === 0 && 'text-muted-foreground')}>{formatCount(running)}</Td>
          </Tr>
        ))}
      </tbody>
    </Table>
  )
}
