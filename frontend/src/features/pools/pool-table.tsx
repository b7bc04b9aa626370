import { useState } from 'react'
import { Icon } from '@/components/icon'
import { Prose } from '@/components/prose'
import { Button } from '@/components/ui/button'
import { ConfirmDialog } from '@/components/ui/confirm-dialog'
import { Table, Td, Th, Tr } from '@/components/ui/table'
import { type Pool, useDeletePool } from '@/features/pools/api'
import { PoolDialog } from '@/features/pools/pool-dialog'
import { cn } from '@/lib/cn'
import { formatCount, plural } from '@/lib/format'
import { useHasRole } from '@/store/session'

/** What a pool has without being defined. */
const SLOTS_UNDEFINED = 1

export function PoolTable({ pools }: { pools: Pool[] }) {
  const mayEdit = useHasRole('editor')
  return (
    <Table>
      <thead>
        <tr>
          <Th>Pool</Th>
          <Th>Slots</Th>
          <Th>Used</Th>
          <Th>Waiting</Th>
          {mayEdit && (
            <Th>
              <span className="sr-only">Actions</span>
            </Th>
          )}
        </tr>
      </thead>
      <tbody>
        {pools.map((pool) => (
          <Tr key={pool.name}>
            <Td>
              <span className="mono wrap-text font-medium">{pool.name}</span>
              {pool.slots === null && (
                <p className="flex items-center gap-1.5 text-small text-state-retrying">
                  <Icon name="warning" className="size-3.5" />
                  not defined<span className="max-tablet:sr-only">: its stages share one slot</span>
                </p>
              )}
              {pool.reason && (
                <p className="flex gap-1.5 text-small text-state-retrying">
                  <Icon name="warning" className="mt-0.5 size-3.5 shrink-0" />
                  <span>
                    <Prose text={pool.reason} />
                  </span>
                </p>
              )}
            </Td>
            <Td className={cn(pool.slots === null && 'text-muted-foreground')}>
              {formatCount(pool.slots ?? SLOTS_UNDEFINED)}
            </Td>
            <Td>
              <Usage pool={pool} />
            </Td>
            <Td className={cn(pool.waiting === 0 && 'text-muted-foreground')}>
              {formatCount(pool.waiting)}
            </Td>
            {mayEdit && (
              <Td className="text-right whitespace-nowrap">
                <PoolActions pool={pool} />
              </Td>
            )}
          </Tr>
        ))}
      </tbody>
    </Table>
  )
}

function Usage({ pool }: { pool: Pool }) {
  const slots = pool.slots ?? SLOTS_UNDEFINED
  const share = slots === 0 ? 0 : Math.min(1, pool.used / slots)
  return (
    <span className="flex items-center gap-2.5">
      <span
        aria-hidden="true"
        className="h-1.5 w-28 overflow-hidden rounded-full bg-border-soft max-tablet:hidden"
      >
        <span
          className="block h-full rounded-full bg-state-running"
          style={{ width: `${share * 100}%` }}
        />
      </span>
      <span className="whitespace-nowrap">
        {formatCount(pool.used)}
        {pool.used >= slots && slots > 0 && (
          <span className="text-small text-muted-foreground max-tablet:sr-only"> full</span>
        )}
      </span>
    </span>
  )
}

function PoolActions({ pool }: { pool: Pool }) {
  const [open, setOpen] = useState<'edit' | 'delete' | null>(null)
  const remove = useDeletePool()
  const close = () => setOpen(null)
  return (
    <>
      <Button size="small" onClick={() => setOpen('edit')}>
        {pool.slots === null ? 'Define' : 'Change'}
        <span className="sr-only"> {pool.name}</span>
      </Button>
      {pool.slots !== null && (
        <Button
          size="icon"
          variant="ghost"
          aria-label={`Delete ${pool.name}`}
          className="ml-1 size-7 align-middle"
          onClick={() => setOpen('delete')}
        >
          <Icon name="trash" className="size-3.5" />
        </Button>
      )}
      <PoolDialog open={open === 'edit'} onClose={close} pool={pool} />
      <ConfirmDialog
        open={open === 'delete'}
        onOpenChange={close}
        title={`Delete pool ${pool.name}?`}
        action="Delete the pool"
        danger
        disabled={remove.isPending}
        error={remove.error}
        onConfirm={() => remove.mutate(pool.name, { onSuccess: close })}
      >
        <p>
          Stages that name it share one slot from then on.
          {pool.used > 0 &&
            ` ${plural(pool.used, 'stage holds', 'stages hold')} a slot now and ${pool.used === 1 ? 'runs' : 'run'} to the end.`}
        </p>
      </ConfirmDialog>
    </>
  )
}
