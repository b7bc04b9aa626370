import type { ReactNode } from 'react'
import { explain, InlineError } from '@/components/feedback'
import { Button } from '@/components/ui/button'
import { Dialog } from '@/components/ui/dialog'

type ConfirmDialogProps = {
  open: boolean
  onOpenChange: (open: boolean) => void
  title: string
  /** What will happen. */
  children: ReactNode
  /** What the button says: the verb, never just "OK". */
  action: ReactNode
  danger?: boolean
  disabled?: boolean
  error?: Error | null
  onConfirm: () => void
}

/** Says what an action would do, before it is done. */
export function ConfirmDialog({
  open,
  onOpenChange,
  title,
  children,
  action,
  danger = false,
  disabled = false,
  error = null,
  onConfirm,
}: ConfirmDialogProps) {
  return (
    <Dialog open={open} onOpenChange={onOpenChange} title={title}>
      <div className="flex flex-col gap-3">
        {children}
        {error && <InlineError>{explain(error)}</InlineError>}
        <div className="mt-1 flex flex-wrap justify-end gap-2">
          <Button onClick={() => onOpenChange(false)}>Keep as it is</Button>
          <Button variant={danger ? 'danger' : 'primary'} disabled={disabled} onClick={onConfirm}>
            {action}
          </Button>
        </div>
      </div>
    </Dialog>
  )
}
