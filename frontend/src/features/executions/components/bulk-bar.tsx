import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { ErrorPanel } from '@/components/feedback'
import { Icon, type IconName } from '@/components/icon'
import { Button } from '@/components/ui/button'
import { ConfirmDialog } from '@/components/ui/confirm-dialog'
import { bulkCountQuery, useBulk } from '@/features/executions/api'
import {
  type BulkAction,
  type BulkTarget,
  isPossible,
  isPossibleFor,
  MOST_SELECTED,
} from '@/features/executions/model/bulk'
import { formatCount, plural } from '@/lib/format'
import type { ExecutionStatus } from '@/lib/status'

type BulkBarProps = {
  target: BulkTarget
  /** Of those that are ticked and shown. */
  statuses: readonly ExecutionStatus[]
  /** Offered when every row is ticked and there are more behind them. */
  onTakeMatching: (() => void) | null
  onClear: () => void
}

const WORDS: Record<BulkAction, { verb: string; done: string; icon: IconName; effect: string }> = {
  retry: {
    verb: 'Retry',
    done: 'retried',
    icon: 'retry',
    effect: 'Each runs on from its failed stages; results of stages that succeeded are kept.',
  },
  cancel: {
    verb: 'Cancel',
    done: 'cancelled',
    icon: 'stop',
    effect: 'Stages that run are told to stop; those that wait do not begin.',
  },
}

/** What can be done with the executions that are ticked, or with all that the filters match. */
export function BulkBar({ target, statuses, onTakeMatching, onClear }: BulkBarProps) {
  const tooMany = target.kind === 'ids' && target.ids.length > MOST_SELECTED
  const offered = (action: BulkAction) =>
    !tooMany &&
    (target.kind === 'ids' ? isPossible(action, statuses) : isPossibleFor(action, target.filter))
  return (
    <section
      aria-label="Selection"
      className="flex flex-wrap items-center gap-x-3 gap-y-2 border-b border-border-soft bg-background px-4 py-2 max-tablet:px-3"
    >
      <p className="font-medium" role="status">
        {target.kind === 'ids'
          ? `${formatCount(target.ids.length)} selected`
          : 'All that match the filters'}
      </p>
      {tooMany && (
        <span className="text-small text-muted-foreground">
          at most {formatCount(MOST_SELECTED)} at once
        </span>
      )}
      {onTakeMatching && (
        <button
          type="button"
          onClick={onTakeMatching}
          className="py-1 text-small text-link hover:underline"
        >
          Take all that match the filters
        </button>
      )}
      <span className="ml-auto flex flex-wrap items-center gap-2 max-tablet:ml-0">
        <BulkButton action="retry" target={target} offered={offered('retry')} onDone={onClear} />
        <BulkButton action="cancel" target={target} offered={offered('cancel')} onDone={onClear} />
        <Button size="small" variant="ghost" onClick={onClear}>
          <Icon name="close" className="size-3.5" />
          Clear
        </Button>
      </span>
    </section>
  )
}

type BulkButtonProps = {
  action: BulkAction
  target: BulkTarget
  offered: boolean
  onDone: () => void
}

function BulkButton({ action, target, offered, onDone }: BulkButtonProps) {
  const [open, setOpen] = useState(false)
  const { verb, icon } = WORDS[action]
  return (
    <>
      <Button
        size="small"
        variant={action === 'cancel' ? 'danger' : 'secondary'}
        disabled={!offered}
        onClick={() => setOpen(true)}
      >
        <Icon name={icon} className="size-3.5" />
        {verb}…
      </Button>
      {open && (
        <BulkDialog
          action={action}
          target={target}
          onClose={() => setOpen(false)}
          onDone={onDone}
        />
      )}
    </>
  )
}

type BulkDialogProps = {
  action: BulkAction
  target: BulkTarget
  onClose: () => void
  onDone: () => void
}

/** How many it would be, before it is done. */
function BulkDialog({ action, target, onClose, onDone }: BulkDialogProps) {
  const count = useQuery(bulkCountQuery(action, target))
  const bulk = useBulk(action)
  const { verb, done, effect } = WORDS[action]
  const matched = count.data
  const of =
    target.kind === 'ids'
      ? `Of the ${formatCount(target.ids.length)} selected`
      : 'Of all that match the filters'
  return (
    <ConfirmDialog
      open
      onOpenChange={onClose}
      title={`${verb} ${matched === undefined ? 'executions' : plural(matched, 'execution')}?`}
      action={bulk.isPending ? 'Working…' : matched ? `${verb} ${formatCount(matched)}` : verb}
      danger={action === 'cancel'}
      disabled={!matched || bulk.isPending}
      error={bulk.error}
      onConfirm={() =>
        bulk.mutate(target, {
          onSuccess: () => {
            onClose()
            onDone()
          },
        })
      }
    >
      {count.error ? (
        <ErrorPanel error={count.error} what="The count" onRetry={() => void count.refetch()} />
      ) : (
        <p role="status">
          {matched === undefined
            ? 'Counting…'
            : matched === 0
              ? `${of}, none can be ${done}.`
              : `${of}, ${formatCount(matched)} can be ${done}.`}
        </p>
      )}
      {matched !== undefined && matched > 0 && <p>{effect}</p>}
    </ConfirmDialog>
  )
}
