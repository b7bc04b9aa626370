import { useState } from 'react'
import { Icon } from '@/components/icon'
import { Badge } from '@/components/state-badge'
import { Button } from '@/components/ui/button'
import { ConfirmDialog } from '@/components/ui/confirm-dialog'
import { Table, Td, Th, Tr } from '@/components/ui/table'
import {
  type MaintenanceWindow,
  useDeleteMaintenance,
  useEndMaintenance,
} from '@/features/maintenance/api'
import { formatSpan, inOrder, type Standing, standing } from '@/features/maintenance/model'
import { useHasRole } from '@/store/session'
import { toast } from '@/store/toasts'

const APPEARANCES = {
  running: { tone: 'running', icon: 'ring', word: 'Now' },
  coming: { tone: 'queued', icon: 'clock', word: 'To come' },
  past: { tone: 'skipped', icon: 'tick', word: 'Over' },
} as const

type WindowTableProps = {
  windows: MaintenanceWindow[]
  now: number
  /** By id, of those that are known. */
  names: Map<string, string>
}

export function WindowTable({ windows, now, names }: WindowTableProps) {
  const mayPlan = useHasRole('operator')
  return (
    <Table>
      <thead>
        <tr>
          <Th>State</Th>
          <Th>Time</Th>
          <Th className="max-tablet:hidden">Pipelines</Th>
          <Th className="max-tablet:hidden">By</Th>
          {mayPlan && (
            <Th>
              <span className="sr-only">Actions</span>
            </Th>
          )}
        </tr>
      </thead>
      <tbody>
        {inOrder(windows, now).map((window) => {
          const stands = standing(window, now)
          const span = formatSpan(window, now)
          const pipelines = window.pipeline_id
            ? (names.get(window.pipeline_id) ?? window.pipeline_id)
            : 'All pipelines'
          return (
            <Tr key={window.id}>
              <Td className="align-top whitespace-nowrap">
                <Badge {...APPEARANCES[stands]} />
              </Td>
              <Td className="align-top">
                <span className="font-medium">{span}</span>
                <p className="hidden text-small max-tablet:block">{pipelines}</p>
                {window.reason && (
                  <p className="wrap-text text-small text-secondary-foreground">{window.reason}</p>
                )}
              </Td>
              <Td className="wrap-text align-top max-tablet:hidden">{pipelines}</Td>
              <Td className="wrap-text align-top text-secondary-foreground max-tablet:hidden">
                {window.by}
              </Td>
              {mayPlan && (
                <Td className="text-right align-top whitespace-nowrap">
                  <WindowActions window={window} stands={stands} span={span} />
                </Td>
              )}
            </Tr>
          )
        })}
      </tbody>
    </Table>
  )
}

const OF_DELETING: Record<Standing, string> = {
  running: 'What has run in it, and what runs, counts again with the next look at the history.',
  coming: 'What runs then raises insights as at any other time.',
  past: 'What ran in it counts again with the next look at the history, and may raise insights.',
}

type WindowActionsProps = { window: MaintenanceWindow; stands: Standing; span: string }

function WindowActions({ window, stands, span }: WindowActionsProps) {
  const [open, setOpen] = useState<'end' | 'delete' | null>(null)
  const end = useEndMaintenance()
  const remove = useDeleteMaintenance()
  const close = () => setOpen(null)
  const done = (sentence: string) => ({
    onSuccess: () => {
      toast('success', sentence)
      close()
    },
  })
  return (
    <>
      {stands === 'running' && (
        <Button size="small" onClick={() => setOpen('end')}>
          End now<span className="sr-only">: {span}</span>
        </Button>
      )}
      <Button
        size="icon"
        variant="ghost"
        aria-label={`Delete ${span}`}
        className="ml-1 size-7 align-middle"
        onClick={() => setOpen('delete')}
      >
        <Icon name="trash" className="size-3.5" />
      </Button>
      <ConfirmDialog
        open={open === 'end'}
        onOpenChange={close}
        title="End the maintenance now?"
        action="End it now"
        disabled={end.isPending}
        error={end.error}
        onConfirm={() => end.mutate(window.id, done('The maintenance is over.'))}
      >
        <p>
          What ran in it until now stays left out. What runs from now on raises insights as usual.
        </p>
      </ConfirmDialog>
      <ConfirmDialog
        open={open === 'delete'}
        onOpenChange={close}
        title="Delete this maintenance?"
        action="Delete it"
        danger
        disabled={remove.isPending}
        error={remove.error}
        onConfirm={() => remove.mutate(window.id, done('The maintenance is deleted.'))}
      >
        <p className="font-medium">{span}</p>
        <p>{OF_DELETING[stands]}</p>
      </ConfirmDialog>
    </>
  )
}
